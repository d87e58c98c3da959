/** The usage of secrets, on its way into the database. @module */
import { LRUCache } from 'lru-cache'
import type { IntegrationId } from '../brands.ts'
import { serialize } from '../concurrency.ts'
import { is } from '../errors.ts'
import { recordExternalChanges } from '../operations/secrets/history.ts'
import type { Use } from '../store/secrets/usage.ts'
import type { Store } from '../store/store.ts'
import { withDeadline } from './deadline.ts'
import type { MatchedEntry } from './match.ts'
import { Reporter, type ReporterOptions } from './reporter.ts'

/** How much time is left between two writes of an integration's usage, and between two reports of this receiver. */
const writeIntervalMs = 60_000

/** How often to look whether a write is due. */
const pollIntervalMs = 1000

/** How long a write is waited for: longer than a busy database is. The others must not wait for ever. */
const writeDeadlineMs = 15_000

/** How long a flush takes at most: long enough for a write that is under way, and one of its own. */
const flushDeadlineMs = 30_000

/** By version; null for a value that the application has written and that is not recorded yet. */
type Pending = Map<number | null, { readonly count: number; readonly lastAt: Date }>

/** What usage is written down with. */
interface UsageOptions extends ReporterOptions {
  /** Is told what could not be written; that is tried again with the next write. */
  readonly onError: (error: unknown) => void
}

/**
 * Writes down how secrets are used, and that this receiver is there: at most one write for each integration and minute,
 * for which no request waits.
 */
export class UsageRecorder {
  readonly #store: Store
  readonly #onError: (error: unknown) => void
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
    const due = [...this.#pending].filter(([id]) => all || !this.#written.has(id))
    if (this.#isReportDue(all) && !(await this.#attempt(() => this.reportIn()))) return
    // When the database cannot be written, the rest waits for the next round: each may take as long to fail.
    for (const [id, versions] of due) if (!(await this.#writeOne(id, versions))) return
    if (this.#closing) await this.#attempt(() => this.#reporter.withdraw())
  }

  #isReportDue(all: boolean): boolean {
    if (this.#closing || this.#reportedAt === Number.POSITIVE_INFINITY) return false
    return (all && this.#reporter.hasNews) || performance.now() - this.#reportedAt >= writeIntervalMs
  }

  /** @returns whether the database can be written */
  async #writeOne(id: IntegrationId, versions: Pending): Promise<boolean> {
    if (this.#closed) return false
    this.#pending.delete(id)
    this.#written.set(id, true)
    let isWritable = true
    for (const [number, { count, lastAt }] of versions) {
      const use: Use = { id, field: 'webhookSecret', number, count, lastAt }
      // A write whose answer was lost, or that was abandoned, may be done: it is not tried again with its count.
      const failed = (error: unknown) => this.record({ ...use, count: is(error, 'DATABASE_UNREACHABLE') ? 0 : count })
      if (isWritable)
        isWritable = await this.#attempt(() => this.#store.recordUsage((writer) => writer.used(use)), failed)
      else this.record(use)
    }
    if (!isWritable || !versions.has(null)) return isWritable
    return this.#attempt(() => recordExternalChanges(this.#store, id, ['webhookSecret']))
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
      return !is(error, 'DATABASE_UNREACHABLE', 'DATABASE_BUSY', 'DATABASE_READ_ONLY')
    }
  }
}
