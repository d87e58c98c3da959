/** What lookups have found, remembered for a few seconds. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { semaphore } from '../concurrency.ts'
import { createAdmissionLimit } from './admission.ts'
import type { LookupKey, LookupResult } from './secrets.ts'

/** How many lookups are remembered, of tenants and of the unverified each. */
const maxLookups = 10_000

/** How many unverified lookups run at once. */
const maxUnverified = 4

/** How long to wait before a lookup is repeated for a signature that did not match. */
const repeatAfterMs = 1000

/** The last result of a lookup, and the reading that is under way. */
interface Lookup {
  latest?: LookupResult
  pending?: Promise<LookupResult>
  /** When the last reading was asked for. */
  startedAt: number
}

/**
 * Remembers lookups. Those of tenants, which have found an integration or come with a valid signature, are kept apart
 * from the unverified, which strangers may invent: these neither displace nor delay those.
 */
export class LookupCache {
  readonly #read: (key: LookupKey) => Promise<LookupResult>
  readonly #rememberMs: number
  readonly #tenants = new LRUCache<string, Lookup>({ max: maxLookups })
  readonly #unverified = new LRUCache<string, Lookup>({ max: maxLookups })
  readonly #admitTenant = createAdmissionLimit()
  readonly #admitUnverified = createAdmissionLimit()
  readonly #limitUnverified = semaphore(maxUnverified)

  /** @param rememberMs how long a result is used, in milliseconds: so long a revoked secret can still match */
  constructor(read: (key: LookupKey) => Promise<LookupResult>, rememberMs: number) {
    this.#read = read
    this.#rememberMs = rememberMs
  }

  /**
   * The result of a reading that began at most `rememberMs` ago; undefined when too many requests wait.
   *
   * @param bodyBytes the length of the body that is held meanwhile
   * @throws what reading throws
   */
  async find(key: LookupKey, bodyBytes: number): Promise<LookupResult | undefined> {
    const id = JSON.stringify(key)
    const { latest, pending, startedAt = 0 } = this.#get(id) ?? {}
    const oldest = performance.now() - this.#rememberMs
    if (latest && latest.startedAt > oldest) return latest
    const load = async () => (pending && startedAt > oldest ? pending : this.#load(id, key))
    return this.#tenants.has(id) ? load() : this.#admitUnverified(bodyBytes, load)
  }

  /**
   * The result of a reading that began after an instant, for which the request waits its turn; undefined when too many
   * requests wait.
   *
   * @param bodyBytes the length of the body that is held meanwhile
   * @param since on this process's own clock (`performance.now()`)
   * @throws what reading throws
   */
  async findSince(key: LookupKey, bodyBytes: number, since: number): Promise<LookupResult | undefined> {
    const id = JSON.stringify(key)
    const latest = this.#get(id)?.latest
    if (latest && latest.startedAt >= since) return latest
    const admit = this.#tenants.has(id) ? this.#admitTenant : this.#admitUnverified
    return admit(bodyBytes, async () => {
      for (;;) {
        const { latest, pending, startedAt = Number.NEGATIVE_INFINITY } = this.#get(id) ?? {}
        if (latest && latest.startedAt >= since) return latest
        if (pending && startedAt >= since) return pending
        const waitMs = startedAt + repeatAfterMs - performance.now()
        if (waitMs <= 0) return this.#load(id, key)
        await sleep(waitMs)
      }
    })
  }

  /** Takes keys for a tenant's: a request came with them whose signature is valid. */
  promote(keys: readonly LookupKey[]): void {
    for (const id of keys.map((key) => JSON.stringify(key))) {
      const lookup = this.#unverified.get(id)
      if (!lookup) continue
      this.#unverified.delete(id)
      this.#tenants.set(id, lookup)
    }
  }

  #get(id: string): Lookup | undefined {
    return this.#tenants.get(id) ?? this.#unverified.get(id)
  }

  #load(id: string, key: LookupKey): Promise<LookupResult> {
    const lookup: Lookup = this.#get(id) ?? { startedAt: 0 }
    lookup.startedAt = performance.now()
    const isTenant = this.#tenants.has(id)
    if (!isTenant) this.#unverified.set(id, lookup)
    const read = () => this.#read(key)
    const pending = (isTenant ? read() : this.#limitUnverified(read))
      .then((result) => {
        lookup.latest = result
        if (result.entries.length > 0) {
          this.#unverified.delete(id)
          this.#tenants.set(id, lookup)
        }
        return result
      })
      .finally(() => {
        if (lookup.pending === pending) delete lookup.pending
      })
    lookup.pending = pending
    return pending
  }
}
