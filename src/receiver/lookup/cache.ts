/** What lookups have found, remembered for a few seconds. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { semaphore } from '../../concurrency.ts'
import { is } from '../../errors.ts'
import { withDeadline } from '../../library/deadline.ts'
import { createAdmissionLimit } from './admission.ts'
import { type LookupKey, textOf } from './keys.ts'
import { ageOf, type LookupResult } from './secrets.ts'

/** How many lookups are remembered, of tenants and of the unverified each. */
const maxLookups = 10_000

/** How many characters the configs and secrets of tenants take together that are remembered. */
const maxCharacters = 64 * 1024 * 1024

/** How many unverified lookups run at once. */
const maxUnverified = 4

/** How long to wait before a lookup is repeated for a signature that did not match: less than its refusal takes. */
const repeatAfterMs = 50

/** A scan begins so many times as long after the one before as that took: strangers can ask for scans. */
const restAfterScan = 2

/** How long the database has to answer, before what is known of a tenant is used meanwhile. */
export const answerMs = 1000

/** How long results of lookups are used, in milliseconds. */
export interface LookupLimits {
  /** Without asking the database: so long a revoked secret can still match. */
  readonly rememberMs: number
  /** While the database cannot be reached, is busy, or does not answer; 0 for not at all. */
  readonly staleMs: number
}

/** The last result of a lookup, and the reading that is under way. */
interface Lookup {
  latest?: LookupResult
  pending?: Promise<LookupResult>
  /** When the last reading was asked for. */
  startedAt: number
  /** How long the last reading took, in milliseconds. */
  tookMs: number
  /** When the reading began that gave the newest answer: one that began before, and answers later, knows less. */
  answeredFrom: number
}

/** Whether a lookup goes through all integrations of a platform. */
const isScan = ({ kind }: LookupKey) => kind !== 'match'

/**
 * Remembers lookups. Those of tenants, which have found an integration or come with a valid signature, are kept apart
 * from the unverified, which strangers may invent: these neither displace nor delay those. Scans are kept
 * apart too: one runs at a time for each key, and the next one waits.
 */
export class LookupCache {
  readonly #read: (key: LookupKey) => Promise<LookupResult>
  readonly #limits: LookupLimits
  readonly #onError: (error: unknown) => void
  readonly #tenants = new LRUCache<string, Lookup>({
    max: maxLookups,
    maxSize: maxCharacters,
    sizeCalculation: ({ latest }) => sizeOf(latest),
  })
  readonly #unverified = new LRUCache<string, Lookup>({ max: maxLookups })
  /**
   * Two for each platform at most, of as many integrations as secrets are tried. Their characters have no limit: without a
   * result, each request that names no integration would scan again.
   */
  readonly #scans = new Map<string, Lookup>()
  readonly #admitTenant = createAdmissionLimit()
  readonly #admitUnverified = createAdmissionLimit()
  readonly #limitUnverified = semaphore(maxUnverified)

  /** @param onError is told why the database could not be read, where what is known was used meanwhile */
  constructor(
    read: (key: LookupKey) => Promise<LookupResult>,
    limits: LookupLimits,
    onError: (error: unknown) => void = () => {},
  ) {
    this.#read = read
    this.#limits = limits
    this.#onError = onError
  }

  /**
   * The result of a reading that began at most `rememberMs` ago, or at most `staleMs` ago when the database gives no
   * answer; that of a scan until the next one may begin, too; undefined when too many requests wait.
   *
   * @param bodyBytes the length of the body that is held meanwhile
   * @returns what is remembered, at once: webhooks need not wait for it
   * @throws what reading throws
   */
  find(key: LookupKey, bodyBytes: number): LookupResult | Promise<LookupResult | undefined> {
    const id = textOf(key)
    const { rememberMs } = this.#limits
    const { latest, pending, tookMs = 0 } = this.#get(id) ?? {}
    const ageMs = latest ? ageOf(latest) : Number.POSITIVE_INFINITY
    if (!latest || ageMs >= Math.max(rememberMs, restMs(key, tookMs))) return this.#findAgain(id, key, bodyBytes)
    // The next request then finds a fresh result.
    if (ageMs > rememberMs / 2 && !pending && this.#tenants.has(id))
      this.#load(id, key).catch((error) => isAway(error) || this.#onError(error))
    return latest
  }

  /** The same where nothing is remembered, or not any more. */
  async #findAgain(id: string, key: LookupKey, bodyBytes: number): Promise<LookupResult | undefined> {
    const { rememberMs } = this.#limits
    const { latest, pending, startedAt = 0 } = this.#get(id) ?? {}
    const isTenant = this.#tenants.has(id)
    const isFresh = isScan(key) || startedAt > performance.now() - rememberMs
    const load = async () => (pending && isFresh ? pending : this.#load(id, key))
    const find = async () => (this.#isUsable(latest) ? this.#loadOrKnown(id, load()) : load())
    if (isTenant) return find()
    // That nothing was found is no help while the database is away.
    return this.#admitUnverified(bodyBytes, latest?.entries.length ? find : load)
  }

  /** What a reading gives, or what is known when the database does not answer in time. */
  async #loadOrKnown(id: string, reading: Promise<LookupResult>): Promise<LookupResult> {
    // A reading that others wait for already may have had its time.
    const waitMs = Math.max(0, (this.#get(id)?.startedAt ?? 0) + answerMs - performance.now())
    try {
      return await withDeadline(waitMs, reading)
    } catch (error) {
      // Any other error is an answer.
      if (!isAway(error)) throw error
      const known = this.#get(id)?.latest
      return this.#isUsable(known) ? known : reading
    }
  }

  #isUsable(known: LookupResult | undefined): known is LookupResult {
    return known !== undefined && ageOf(known) < this.#limits.staleMs
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
    const id = textOf(key)
    const latest = this.#get(id)?.latest
    if (latest && latest.startedAt >= since) return latest
    const admit = this.#tenants.has(id) ? this.#admitTenant : this.#admitUnverified
    return admit(bodyBytes, async () => {
      for (;;) {
        const { latest, pending, startedAt = Number.NEGATIVE_INFINITY, tookMs = 0 } = this.#get(id) ?? {}
        if (latest && latest.startedAt >= since) return latest
        if (pending && startedAt >= since) return pending
        const age = performance.now() - startedAt
        const pauseMs = Math.max(repeatAfterMs, restMs(key, tookMs))
        // A reading that takes long is not followed by others before it ends.
        if (pending && isScan(key)) await pending.catch(() => {})
        else if (pending && age < answerMs) await withDeadline(answerMs - age, pending).catch(() => {})
        else if (age < pauseMs) await sleep(pauseMs - age)
        else return this.#load(id, key)
      }
    })
  }

  /**
   * Waits as long as a lookup of strangers would, where keys are known: otherwise they would tell by the time that they
   * are known.
   *
   * @param bodyBytes the length of the body that is held meanwhile
   * @returns false when too many requests wait
   */
  async turn(keys: readonly LookupKey[], bodyBytes: number): Promise<boolean> {
    if (!keys.some((key) => this.#tenants.has(textOf(key)))) return true
    return (await this.#admitUnverified(bodyBytes, () => this.#limitUnverified(async () => true))) ?? false
  }

  /** What is remembered of a key, however long ago it was read. */
  known(key: LookupKey): LookupResult | undefined {
    const id = textOf(key)
    return (this.#tenants.peek(id) ?? this.#unverified.peek(id))?.latest
  }

  /** Keeps what was read without a request, so that it serves the first while the database is away. */
  keep(key: LookupKey, result: LookupResult): void {
    const id = textOf(key)
    const { startedAt } = result
    const lookup: Lookup = this.#get(id) ?? { startedAt, tookMs: 0, answeredFrom: startedAt }
    if (result.entries.length === 0 || lookup.answeredFrom > result.startedAt) return
    lookup.answeredFrom = result.startedAt
    lookup.latest = result
    this.#setTenant(id, lookup)
  }

  /** Takes keys for a tenant's: a request came with them whose signature is valid. */
  promote(keys: readonly LookupKey[]): void {
    for (const id of keys.map((key) => textOf(key))) {
      const lookup = this.#unverified.get(id)
      if (lookup) this.#setTenant(id, lookup)
    }
  }

  #setTenant(id: string, lookup: Lookup): void {
    this.#unverified.delete(id)
    // What is there already would keep its size.
    this.#tenants.delete(id)
    this.#tenants.set(id, lookup)
  }

  #get(id: string): Lookup | undefined {
    return this.#tenants.get(id) ?? this.#unverified.get(id) ?? this.#scans.get(id)
  }

  #load(id: string, key: LookupKey): Promise<LookupResult> {
    const lookup: Lookup = this.#get(id) ?? { startedAt: 0, tookMs: 0, answeredFrom: 0 }
    lookup.startedAt = performance.now()
    const isTenant = this.#tenants.has(id)
    if (isScan(key)) this.#scans.set(id, lookup)
    else if (!isTenant) this.#unverified.set(id, lookup)
    let beganAt = lookup.startedAt
    const read = () => {
      beganAt = performance.now()
      return this.#read(key)
    }
    const isNewest = () => {
      if (beganAt < lookup.answeredFrom) return false
      lookup.answeredFrom = beganAt
      return true
    }
    const pending = (isTenant ? read() : this.#limitUnverified(read))
      .then((result) => {
        if (!isNewest()) return lookup.latest ?? result
        lookup.latest = result
        if (result.entries.length > 0 && !isScan(key)) this.#setTenant(id, lookup)
        return result
      })
      .catch((error: unknown) => {
        // A refusal is an answer, after which nothing is known any more.
        if (isAway(error)) {
          if (this.#isUsable(lookup.latest)) this.#onError(error)
        } else if (isNewest()) delete lookup.latest
        throw error
      })
      .finally(() => {
        lookup.tookMs = performance.now() - beganAt
        if (lookup.pending === pending) delete lookup.pending
      })
    lookup.pending = pending
    return pending
  }
}

/** About how many characters a result takes. */
function sizeOf(result: LookupResult | undefined): number {
  let characters = 1
  for (const { integration, secrets } of result?.entries ?? []) {
    characters += 1000 + JSON.stringify(integration.config).length
    for (const { value } of secrets) characters += value.reveal().length
  }
  return characters
}

/** How long after its beginning a reading that took so long is not repeated, in milliseconds. */
const restMs = (key: LookupKey, tookMs: number) => (isScan(key) ? restAfterScan * tookMs : 0)

/** Whether the database gives no answer, or none that can be believed, so that what is known may still be so. */
export const isAway = (error: unknown) => is(error, 'DATABASE_UNREACHABLE', 'DATABASE_BUSY', 'DATABASE_TAMPERED')
