/** The usage of secrets, on its way into the database. @module */
import { setImmediate as turn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { IntegrationId } from '../brands.ts'
import { serialize } from '../concurrency.ts'
import { is } from '../errors.ts'
import { withDeadline } from '../library/deadline.ts'
import { recordExternalChanges } from '../operations/secrets/history.ts'
import type { Use } from '../store/activity/usage.ts'
import type { Store } from '../store/store.ts'
import type { MatchedEntry } from './match.ts'
import type { Refusals } from './refusals.ts'
import { Reporter, type ReporterOptions } from './reporter.ts'

/** How much time is left between two writes of an integration's usage, and between two reports of this receiver. */
const writeIntervalMs = 60_000

/** How often to look whether a write is due. */
const pollIntervalMs = 1000

/** How long a write is waited for: longer than a busy database is. The others must not wait for ever. */
const writeDeadlineMs = 15_000

/** How long a flush takes at most: long enough for a write that is under way, and one of its own. */
const flushDeadlineMs = 30_000

/** Of how many integrations the usage is written at once. On SQLite, the event loop waits for as long as that takes. */
const integrationsAtOnce = 250

/** By version; null for a value that the application has written and that is not recorded yet. */
type Pending = Map<number | null, { readonly count: number; readonly lastAt: Date }>

/** What usage is written down with. */
interface UsageOptions extends ReporterOptions {
  /** What is counted of refused webhooks. */
  readonly refusals: Refusals
  /** Is told what could not be written; that is tried again with the next write. */
  readonly onError: (error: unknown) => void
}

/**
 * Writes down how secrets are used, which webhooks were refused, and that this receiver is there: at most one write for
 * each integration and minute, for which no request waits.
 */
export class UsageRecorder {
  readonly #store: Store
  readonly #onError: (error: unknown) => void
  readonly #refusals: Refusals
  readonly #reporter: Reporter
  readonly #deadlineMs: number
  readonly #pending = new Map<IntegrationId, Pending>()
  /** Integrations whose minute is not over. */
  readonly #written = new LRUCache<IntegrationId, true>({ ttl: writeIntervalMs, ttlAutopurge: true })
  // Never before `reportIn`: a receiver that fails to start accepts no secrets.
  #reportedAt = Number.POSITIVE_INFINITY
  /** How many rounds are under way or wait. */
  #rounds = 0
  /** The flush that waits for its turn. */
  #waiting: Promise<void> | undefined
  #closing = false
  #closed = false
  // An application that has nothing else to do may end. A round that takes long is not followed by those it has missed.
  readonly #timer = setInterval(() => this.#rounds > 0 || void this.#round(false), pollIntervalMs).unref()

  /** @param deadlineMs another deadline of a write, in milliseconds, for tests */
  constructor({ onError, deadlineMs = writeDeadlineMs, ...options }: UsageOptions & { deadlineMs?: number }) {
    this.#store = options.store
    this.#onError = onError
    this.#refusals = options.refusals
    this.#reporter = new Reporter(options)
    this.#deadlineMs = deadlineMs
  }

  /** Counts a request that matched a version of an integration's webhook secret. @param at by the database's clock */
  matched(match: MatchedEntry, at: Date): void {
    this.record({ id: match.entry.integration.id, number: match.secret.number, count: 1, lastAt: at })
    this.#reporter.matched(match, at)
  }

  /** Counts requests that matched a version of an integration's webhook secret. */
  record({ id, number, count, lastAt }: Omit<Use, 'field'>): void {
    const versions: Pending = this.#pending.get(id) ?? new Map()
    this.#pending.set(id, versions)
    const known = versions.get(number) ?? { count: 0, lastAt }
    versions.set(number, { count: known.count + count, lastAt: known.lastAt > lastAt ? known.lastAt : lastAt })
  }

  /** Reports that this receiver is there, and which secrets it has seen. @throws as `Reporter.report` */
  async reportIn(): Promise<void> {
    this.#reportedAt = performance.now()
    await this.#reporter.report()
  }

  /** Writes down what is left, as far as the deadline allows. Never throws. @param deadlineMs in milliseconds */
  async flush(deadlineMs = flushDeadlineMs): Promise<void> {
    this.#waiting ??= this.#round(true)
    await withDeadline(deadlineMs, this.#waiting).catch(this.#onError)
  }

  /** Writes down what is left, as far as the deadline allows, takes the report back, and stops. @param deadlineMs in milliseconds */
  async close(deadlineMs?: number): Promise<void> {
    clearInterval(this.#timer)
    this.#closing = true
    await this.flush(deadlineMs)
    this.#closed = true
  }

  /** Stops, and writes nothing any more. */
  abandon(): void {
    clearInterval(this.#timer)
    this.#closed = true
  }

  async #round(all: boolean): Promise<void> {
    this.#rounds++
    try {
      await serialize(this, () => this.#write(all))
    } finally {
      this.#rounds--
    }
  }

  /** @param all those too whose minute is not over */
  async #write(all: boolean): Promise<void> {
    if (all) this.#waiting = undefined
    const due = [...this.#pending.keys()].filter((id) => all || !this.#written.has(id))
    if (this.#isReportDue(all) && !(await this.#attempt(() => this.reportIn()))) return
    // When the database cannot be written, the rest waits for the next round: each may take as long to fail.
    const alone = new Set<IntegrationId>()
    for (let i = 0; i < due.length; i += integrationsAtOnce) {
      if (!(await this.#writeSome(due.slice(i, i + integrationsAtOnce), alone))) return
      // SQLite answers within the turn of the event loop in which it is asked.
      await turn()
    }
    for (const id of alone) if (!(await this.#writeAlone(id))) return
    if (all) await this.#refusals.settled()
    if (!(await this.#writeRefusals())) return
    if (this.#closing) await this.#attempt(() => this.#reporter.withdraw())
  }

  #isReportDue(all: boolean): boolean {
    if (this.#closing || this.#reportedAt === Number.POSITIVE_INFINITY) return false
    return (all && this.#reporter.hasNews) || performance.now() - this.#reportedAt >= writeIntervalMs
  }

  /** @param alone receives the integrations that have to be written alone @returns whether the database can be written */
  async #writeSome(ids: readonly IntegrationId[], alone: Set<IntegrationId>): Promise<boolean> {
    if (this.#closed) return false
    const uses = ids.flatMap((id) => this.#take(id))
    const left = await this.#writeUses(uses)
    if (!left) return false
    this.#putBack(left)
    for (const { id } of left) alone.add(id)
    for (const { id, number } of uses)
      if (number === null && !(await this.#attempt(() => recordExternalChanges(this.#store, id, ['webhookSecret']))))
        return false
    return true
  }

  /** @returns whether the database can be written */
  async #writeAlone(id: IntegrationId): Promise<boolean> {
    if (this.#closed) return false
    const uses = this.#take(id)
    for (const [i, use] of uses.entries())
      if (!(await this.#writeUses([use]))) {
        this.#putBack(uses.slice(i + 1))
        return false
      }
    return true
  }

  /** What is pending of an integration, whose minute begins. */
  #take(id: IntegrationId): Use[] {
    const versions: Pending = this.#pending.get(id) ?? new Map()
    this.#pending.delete(id)
    this.#written.set(id, true)
    return [...versions].map(([number, use]) => ({ id, field: 'webhookSecret', number, ...use }))
  }

  /** @returns the uses to write alone; undefined when the database cannot be written */
  async #writeUses(uses: readonly Use[]): Promise<readonly Use[] | undefined> {
    let left: readonly Use[] = []
    const write = async (mayCount: () => boolean) => {
      try {
        left = await this.#store.recordUsage((writer) => writer.used(uses, mayCount))
      } catch (error) {
        // What the database refuses for one integration does not keep the others from being written.
        if (uses.length === 1 || isUnwritable(error)) throw error
        left = uses
      }
    }
    return (await this.#attemptOnce(write, (count) => this.#putBack(uses, count))) ? left : undefined
  }

  /** @returns whether the database can be written */
  async #writeRefusals(): Promise<boolean> {
    const refusals = this.#refusals.take()
    if (refusals.length === 0) return true
    return this.#attemptOnce(
      (mayCount) => this.#store.recordUsage((writer) => writer.refused(refusals, mayCount)),
      (count) => {
        for (const refusal of refusals) this.#refusals.add({ ...refusal, count: count ?? refusal.count })
      },
    )
  }

  /**
   * Does what counts, which must not be done twice.
   *
   * @param write asks before it sends counts
   * @param failed takes back what was not written; 0 in place of its count, where that may be there
   * @returns whether the database can be written
   */
  #attemptOnce(write: (mayCount: () => boolean) => Promise<void>, failed: (count?: 0) => void): Promise<boolean> {
    let isSent = false
    let isAbandoned = false
    const mayCount = () => {
      isSent ||= !isAbandoned
      return !isAbandoned
    }
    return this.#attempt(
      () => write(mayCount),
      (error) => {
        isAbandoned = true
        // What was sent without an answer may be done.
        failed(isSent && is(error, 'DATABASE_UNREACHABLE') ? 0 : undefined)
      },
    )
  }

  #putBack(uses: readonly Use[], count?: number): void {
    for (const use of uses) this.record({ ...use, count: count ?? use.count })
  }

  /** Does work within the deadline; `onError` is told why it was not done. @returns whether the database can be written */
  async #attempt(work: () => Promise<void>, failed = (_error: unknown) => {}): Promise<boolean> {
    if (this.#closed) return false
    try {
      await withDeadline(this.#deadlineMs, work())
      return true
    } catch (error) {
      failed(error)
      this.#onError(error)
      return !isUnwritable(error)
    }
  }
}

/** Whether an error says that the whole database cannot be written. */
const isUnwritable = (error: unknown) => is(error, 'DATABASE_UNREACHABLE', 'DATABASE_BUSY', 'DATABASE_READ_ONLY')
