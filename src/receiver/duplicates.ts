/** Recognises requests that came before. @module */

/** How long an undated request is remembered, in milliseconds, and how many of each integration. */
const rememberMs = 600_000
const maxRequests = 10_000

/** How often requests are forgotten whose time is over, in milliseconds. */
const sweepMs = 60_000

/** An undated request to an integration. */
interface UndatedRequest {
  readonly integrationId: string
  /** Tells the request from others. */
  readonly digest: string
}

/**
 * Undated requests that came before, for ten minutes from the first time. Each integration has a memory of its own: those
 * who can sign for one must not have the requests of another forgotten.
 */
export class Duplicates {
  readonly #perf: { now(): number }
  /** When each was remembered, in this order, by its digest. */
  readonly #seen = new Map<string, Map<string, number>>()
  #sweptAt = 0

  /** @param perf another clock, for tests */
  constructor(perf: { now(): number } = performance) {
    this.#perf = perf
  }

  /** Remembers requests. @returns whether one of them came before */
  remember(requests: readonly UndatedRequest[]): boolean {
    const now = this.#perf.now()
    if (now - this.#sweptAt >= sweepMs) this.#sweep(now)
    // A request that is remembered is not set again: a sender that repeats it does not prolong its time.
    const fresh = requests.filter(({ integrationId, digest }) => !this.#has(integrationId, digest, now))
    for (const { integrationId, digest } of fresh) {
      const seen = this.#seen.get(integrationId) ?? new Map<string, number>()
      this.#seen.set(integrationId, seen)
      // Last, also where its time was over.
      seen.delete(digest)
      const [oldest] = seen.keys()
      if (oldest !== undefined && seen.size >= maxRequests) seen.delete(oldest)
      seen.set(digest, now)
    }
    return fresh.length < requests.length
  }

  /** Forgets requests, so that they are not taken for duplicates. */
  forget(requests: readonly UndatedRequest[]): void {
    for (const { integrationId, digest } of requests) this.#seen.get(integrationId)?.delete(digest)
  }

  #has(integrationId: string, digest: string, now: number): boolean {
    const at = this.#seen.get(integrationId)?.get(digest)
    return at !== undefined && now - at <= rememberMs
  }

  #sweep(now: number): void {
    this.#sweptAt = now
    for (const [integrationId, seen] of this.#seen) {
      for (const [digest, at] of seen) {
        if (now - at <= rememberMs) break
        seen.delete(digest)
      }
      if (seen.size === 0) this.#seen.delete(integrationId)
    }
  }
}
