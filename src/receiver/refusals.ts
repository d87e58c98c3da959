/** Refused webhooks, counted for the integrations that they name, until they are written down. @module */
import type { IntegrationId } from '../brands.ts'
import type { Platform } from '../platforms/platform.ts'
import type { Refusal } from '../store/activity/health.ts'
import type { LookupCache } from './lookup/cache.ts'
import type { LookupKey } from './lookup/keys.ts'
import { databaseTime, type LookupResult } from './lookup/secrets.ts'
import type { RejectReason } from './outcome.ts'

/** In how much time an integration is written once at most, in milliseconds, and how many integrations are. */
const intervalMs = 60_000
const maxWritten = 60

/** How many integrations wait to be written: strangers may know the ids of many. */
const maxWaiting = 1000

/** For how many integrations a webhook is counted that several may be meant by. */
const maxNamed = 20

/** How many ids are looked up in the same time for requests that are refused without a look-up. */
const maxLookedUp = 60

/** Who a refused request says it is for. */
interface Refused {
  readonly platform: Platform
  readonly keys: readonly LookupKey[]
  readonly reason: RejectReason
}

/**
 * Counts refused webhooks in memory, which takes no more than a thousand integrations. Those of ids that no integration
 * has are not counted.
 */
export class Refusals {
  readonly #perf: { now(): number }
  /** The one that has waited longest first. */
  readonly #waiting = new Map<IntegrationId, Refusal>()
  /** When each was written that was within the interval, in this order. */
  readonly #written = new Map<IntegrationId, number>()
  readonly #lookups = new Set<Promise<void>>()
  #lookedUp = { since: Number.NEGATIVE_INFINITY, count: 0 }

  /** @param perf another clock, for tests */
  constructor(perf: { now(): number } = performance) {
    this.#perf = perf
  }

  /** Counts a refused request for the integrations that it names, as far as they are remembered, or soon afterwards. Never throws. */
  note(cache: Pick<LookupCache, 'known' | 'find'>, { platform, keys, reason }: Refused): void {
    for (const key of keys) {
      if (key.kind !== 'match') continue
      const known = cache.known(key)
      if (known) this.#count(known, platform, reason)
      else if (this.#mayLookUp()) this.#lookUp(cache, key, (found) => this.#count(found, platform, reason))
    }
  }

  /** Waits for integrations that are being looked up. */
  async settled(): Promise<void> {
    await Promise.all(this.#lookups)
  }

  /** What may be written down now, those first that have waited longest; it is waiting no more. */
  take(): Refusal[] {
    const now = this.#perf.now()
    for (const [id, at] of this.#written) if (now - at >= intervalMs) this.#written.delete(id)
    const taken: Refusal[] = []
    for (const [id, refusal] of this.#waiting) {
      if (this.#written.size >= maxWritten) break
      if (this.#written.has(id)) continue
      this.#waiting.delete(id)
      this.#written.set(id, now)
      taken.push(refusal)
    }
    return taken
  }

  /** Adds what was refused, which includes what was taken and could not be written. */
  add({ id, count, firstAt, lastAt, reason }: Refusal): void {
    const known = this.#waiting.get(id)
    if (!known && this.#waiting.size >= maxWaiting) return
    const last = known && known.lastAt > lastAt ? known : { lastAt, reason }
    this.#waiting.set(id, {
      id,
      count: (known?.count ?? 0) + count,
      firstAt: known && known.firstAt < firstAt ? known.firstAt : firstAt,
      lastAt: last.lastAt,
      reason: last.reason,
    })
  }

  #count(found: LookupResult, platform: Platform, reason: RejectReason): void {
    const at = databaseTime(found)
    const named = found.entries.filter(({ integration }) => integration.platform === platform.id)
    for (const { integration } of named.slice(0, maxNamed))
      this.add({ id: integration.id, count: 1, firstAt: at, lastAt: at, reason })
  }

  #mayLookUp(): boolean {
    const now = this.#perf.now()
    if (now - this.#lookedUp.since >= intervalMs) this.#lookedUp = { since: now, count: 0 }
    return this.#lookedUp.count++ < maxLookedUp
  }

  #lookUp(cache: Pick<LookupCache, 'find'>, key: LookupKey, found: (result: LookupResult) => void): void {
    const lookup = (async () => {
      const result = await cache.find(key, 0)
      if (result) found(result)
    })()
      // The request is answered already. A database that is away is told of by those that need it.
      .catch(() => {})
      .finally(() => this.#lookups.delete(lookup))
    this.#lookups.add(lookup)
  }
}
