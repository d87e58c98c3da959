/** Recognises requests that came before. @module */

/** How long an undated request is remembered, in milliseconds, and how many of each integration, and of all. */
const rememberMs = 600_000
const maxRequests = 10_000
const maxAllRequests = 200_000

/** How often expired requests are forgotten, in milliseconds. */
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
  /** How many are remembered. */
  #size = 0

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
      // Last, also where its time was over.
      this.#delete(integrationId, digest)
      if ((this.#seen.get(integrationId)?.size ?? 0) >= maxRequests) this.#deleteOldest(integrationId)
      else if (this.#size >= maxAllRequests) this.#deleteOldest(this.#largest())
      const seen = this.#seen.get(integrationId) ?? new Map<string, number>()
      this.#seen.set(integrationId, seen.set(digest, now))
      this.#size++
    }
    return fresh.length < requests.length
  }

  /** Forgets requests, so that they are not taken for duplicates. */
  forget(requests: readonly UndatedRequest[]): void {
    for (const { integrationId, digest } of requests) this.#delete(integrationId, digest)
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
        this.#delete(integrationId, digest)
      }
    }
  }

  #delete(integrationId: string, digest: string): void {
    const seen = this.#seen.get(integrationId)
    if (seen?.delete(digest)) this.#size--
    if (seen?.size === 0) this.#seen.delete(integrationId)
  }

  #deleteOldest(integrationId: string): void {
    const [oldest] = this.#seen.get(integrationId)?.keys() ?? []
    if (oldest !== undefined) this.#delete(integrationId, oldest)
  }

  /** The integration that has the most requests. */
  #largest(): string {
    let [most, id] = [0, '']
    for (const [integrationId, { size }] of this.#seen) if (size > most) [most, id] = [size, integrationId]
    return id
  }
}
