/** What a receiver reports of itself, so that `secrets finish` can tell whether a previous secret is in use. @module */
import { type Fingerprint, type Instant, type IntegrationId, instantOf } from '../brands.ts'
import type { Keyring } from '../crypto/keyring.ts'
import { type ReceiverLimits, type ReportedMatch, signReport } from '../store/activity/receivers.ts'
import { requireState } from '../store/audit/head.ts'
import type { Store } from '../store/store.ts'
import type { MatchedEntry } from './match.ts'

/** How many current secrets a report names, and how many previous ones. */
const maxMatches = 1000

/** For how long a match is reported, in milliseconds: longer than any grace period is. */
const keptMs = 8 * 86_400_000

/** What a report is made with. */
export interface ReporterOptions {
  readonly store: Store
  readonly keyring: () => Promise<Keyring>
  /** For how long this receiver accepts an expired secret. */
  readonly limits: ReceiverLimits
}

/** Keeps in mind which secrets matched during grace periods, and reports them. */
export class Reporter {
  readonly #options: ReporterOptions
  readonly #id = crypto.randomUUID()
  readonly #current = new RecentMatches()
  readonly #previous = new RecentMatches()
  /** When this receiver has begun, by the database's clock. */
  #since: Instant | undefined
  #hasNews = false

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** Whether something matched since the last report. */
  get hasNews(): boolean {
    return this.#hasNews
  }

  /** Keeps in mind that a request matched a secret. @param at by the database's clock */
  matched({ entry, secret }: MatchedEntry, at: Date): void {
    if (entry.secrets.every(({ validUntil }) => validUntil === null)) return
    this.#hasNews = true
    const matches = secret.validUntil === null ? this.#current : this.#previous
    matches.add(entry.integration.id, secret.fingerprint, at)
  }

  /** Puts what is known in the place of the last report. @throws DATABASE_TAMPERED, and what the store throws */
  async report(): Promise<void> {
    const { store, keyring, limits } = this.#options
    // Before what is reported: the report is to be whole as of then.
    const [now, settings] = await store.read(async (db) => [await db.clock(), await db.keys.settings()] as const)
    const keys = await keyring()
    requireState(keys, settings)
    this.#since ??= instantOf(now)
    this.#hasNews = false
    const before = instantOf(now.getTime() - keptMs)
    this.#current.forget(before)
    this.#previous.forget(before)
    const forgotten = this.#previous.forgottenAt
    const signed = signReport(keys, {
      id: this.#id,
      databaseId: settings.id,
      at: instantOf(now),
      since: forgotten !== null && forgotten > this.#since ? forgotten : this.#since,
      ...limits,
      current: this.#current.list(),
      previous: this.#previous.list(),
    })
    await store.recordUsage((writer) => writer.report(signed, now))
  }

  /** Takes the report back: this receiver accepts no secret any more. @throws what the store throws */
  async withdraw(): Promise<void> {
    if (this.#since) await this.#options.store.recordUsage((writer) => writer.withdraw(this.#id))
  }
}

/** The last match of each secret of an integration, of those that matched last. */
class RecentMatches {
  /** The last one at the end. */
  readonly #matches = new Map<string, ReportedMatch>()
  #forgottenAt: Instant | null = null

  add(id: IntegrationId, fingerprint: Fingerprint, at: Date): void {
    const key = JSON.stringify([id, fingerprint])
    const known = this.#matches.get(key)
    this.#matches.delete(key)
    const lastAt = instantOf(at)
    this.#matches.set(key, known && known[2] > lastAt ? known : [id, fingerprint, lastAt])
    if (this.#matches.size > maxMatches) this.#forgetFirst()
  }

  /** Forgets what matched last before an instant. */
  forget(before: Instant): void {
    for (const [, , lastAt] of this.#matches.values()) {
      if (lastAt >= before) return
      this.#forgetFirst()
    }
  }

  #forgetFirst(): void {
    const [first] = this.#matches
    if (!first) return
    const [key, [, , lastAt]] = first
    this.#matches.delete(key)
    if (this.#forgottenAt === null || lastAt > this.#forgottenAt) this.#forgottenAt = lastAt
  }

  /** When a secret matched that is not kept in mind any more; null for none. */
  get forgottenAt(): Instant | null {
    return this.#forgottenAt
  }

  list(): ReportedMatch[] {
    return [...this.#matches.values()]
  }
}
