/** Starting while the database is away, and again when its file was replaced. @module */
import { IntegrationsError, is } from '../errors.ts'
import { withDeadline } from '../library/deadline.ts'
import { isHindrance, type TableDifference, tablesChanged } from '../store/schema/application-tables.ts'
import type { Store } from '../store/store.ts'

/** How long to wait between two attempts to start, in milliseconds: at first, and at most. */
const firstPauseMs = 500
const maxPauseMs = 10_000

/** How often a file is looked at, at most, in milliseconds: for each webhook, it would take a noticeable part of the time. */
const lookIntervalMs = 100

const idleLookIntervalMs = 10_000

/** How long a request waits for the first attempt to begin again, in milliseconds. */
const attemptMs = 1000

/** Whether the database gives no answer, or can only be read: both may be over in a moment. */
const isPassing = (error: unknown) => is(error, 'DATABASE_UNREACHABLE', 'DATABASE_BUSY', 'DATABASE_READ_ONLY')

/** No webhook needs a user, or the times of a workspace. */
const isUnread = ({ table, column }: TableDifference) =>
  table === 'users' || (table === 'workspaces' && (column === 'created_at' || column === 'updated_at'))

/**
 * Compares the application's tables with what this program needs, where some other program may have changed them since.
 *
 * @param onError is told of what hinders commands alone
 * @throws DATABASE_INVALID for what a receiver cannot read
 */
export async function requireTables(store: Store, onError: (error: unknown) => void): Promise<void> {
  const found = (await store.read((db) => db.tableDifferences())).filter(isHindrance)
  if (found.length === 0) return
  const error = tablesChanged(store.database, found)
  if (found.some((difference) => difference.hinders === 'reading' && !isUnread(difference))) throw error
  onError(error)
}

/** What works with a database. */
interface Work {
  /** Why its database is not that of its URL any more. */
  replaced(): IntegrationsError | undefined
  /** Stops, and leaves the database alone; waits for what a platform is still to answer. */
  abandon(): Promise<void>
  close(): Promise<void>
}

/** Begins to work as soon as the database can be used, and again with the one that takes its place. */
export class Startup<Working extends Work> {
  readonly #begin: () => Promise<Working>
  readonly #onError: (error: unknown) => void
  #working: Working | undefined
  #attempt: Promise<void> | undefined
  #abandoned: Promise<unknown> = Promise.resolve()
  /** An idle receiver looks too: the database is to know that it is there. */
  readonly #idle = setInterval(() => void this.look(), idleLookIntervalMs).unref()
  #timer: NodeJS.Timeout | undefined
  #lookedAt = 0
  #closed = false

  /** @param onError is told why an attempt failed after which another follows, and why another database is begun with */
  constructor(begin: () => Promise<Working>, onError: (error: unknown) => void) {
    this.#begin = begin
    this.#onError = onError
  }

  /** What works; undefined until the database can be used, and once it is closed. */
  get working(): Working | undefined {
    return this.#closed ? undefined : this.#working
  }

  /** The first attempt, after which others follow while the database is away. @throws what another attempt will not mend */
  async start(): Promise<void> {
    try {
      this.#working = await this.#begin()
    } catch (error) {
      if (!isPassing(error)) throw error
      this.#onError(error)
      this.#again(firstPauseMs)
    }
  }

  /** Begins again where the database was replaced. @returns what to wait for before `working` is used, if anything; never fails */
  look(): Promise<void> | undefined {
    this.#beginAgainIfReplaced()
    return this.#attempt && withDeadline(attemptMs, this.#attempt).catch(() => {})
  }

  #beginAgainIfReplaced(): void {
    const now = performance.now()
    if (!this.working || now - this.#lookedAt < lookIntervalMs) return
    this.#lookedAt = now
    const replaced = this.working.replaced()
    if (!replaced) return
    this.#onError(replaced)
    this.#abandoned = Promise.all([this.#abandoned, this.working.abandon()])
    this.#working = undefined
    this.#attempt = this.#retry(firstPauseMs).finally(() => {
      this.#attempt = undefined
    })
  }

  /** What works now, or has until it was closed. @throws DATABASE_UNREACHABLE */
  now(): Working {
    if (this.#working) return this.#working
    const message = 'the receiver waits for the database'
    throw new IntegrationsError({ code: 'DATABASE_UNREACHABLE', message, hint: 'integrations db status' })
  }

  /** Ends what works, and the attempts. An attempt under way ends by itself, and what it has begun with it. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#idle)
    await Promise.all([this.#working?.close(), this.#abandoned])
  }

  #again(pauseMs: number): void {
    if (this.#closed) return
    // An application that has nothing else to do may end.
    this.#timer = setTimeout(() => void this.#retry(pauseMs), pauseMs).unref()
  }

  async #retry(pauseMs: number): Promise<void> {
    try {
      const working = await this.#begin()
      if (this.#closed) await working.close()
      else this.#working = working
    } catch (error) {
      if (this.#closed) return
      this.#onError(error)
      this.#again(Math.min(pauseMs * 2, maxPauseMs))
    }
  }
}
