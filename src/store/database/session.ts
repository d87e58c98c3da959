import { setTimeout as sleep } from 'node:timers/promises'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import sql from 'sql-template-tag'
import { databaseInvalid, IntegrationsError } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { type Wait, WaitBudget } from '../../wait-budget.ts'
import { isBusy, retryBusy } from './busy.ts'
import type { Driver } from './driver.ts'
import { commitUnknown, databaseError } from './errors.ts'
import { type ModelLoader, modelLoader } from './models.ts'
import { onAdapter, type Statements, type WritableStatements } from './statements.ts'
import { isCommitUnknown, isStatementPooler, mayComeFromTables } from './symptoms.ts'
import type { Database } from './url.ts'

/** How long the search for the holder of a lock may take. */
const holderMs = 900

/** Work on an open database; what a driver or Prisma throws comes out as an error of ours. */
export interface Session {
  /** For works that share their time; each of the others has the whole time, unless all share one. */
  waitBudget(): WaitBudget
  /** Runs work again for as long as the database is busy. */
  retrying<T>(work: () => Promise<T>, waitBudget?: WaitBudget): Promise<T>
  read<T>(work: (db: Statements) => Promise<T>, waitBudget?: WaitBudget): Promise<T>
  /** Reads in one transaction, which shows one moment. */
  snapshot<T>(work: (db: Statements) => Promise<T>): Promise<T>
  /** Changes something, under the lock of the head row; `work` decides whether what it did is kept. */
  mutate<T>(
    work: (tx: WritableStatements) => Promise<{ readonly result: T; readonly keep: boolean }>,
    options?: { readonly waitBudget?: WaitBudget | undefined; readonly withModels?: boolean },
  ): Promise<T>
  close(): Promise<void>
}

/** What a session works with. */
export interface SessionOptions {
  readonly driver: Driver
  readonly database: Database
  /** How long to go on when the database is busy, in milliseconds. */
  readonly wait: number
  /** The time that all works share. */
  readonly waitBudget?: WaitBudget | undefined
  /** Compares the tables with what they should be, when a statement has failed that may come from them; gives the error to throw. */
  readonly compare?: (db: Statements) => Promise<IntegrationsError | undefined>
}

/** Runs statements with retries to the deadline, on connections that are thrown away after a failure. */
export function createSession({ driver, database, wait, waitBudget: shared, compare }: SessionOptions): Session {
  const reading = connection(driver.connect, (adapter: SqlDriverAdapter) => adapter.dispose())
  const changing = connection(driver.connectWritable, (adapter: SqlDriverAdapter) => adapter.dispose())

  const waitBudget = () => shared ?? new WaitBudget(wait)

  /** @param keptMs how much of the time is not for waiting for a lock */
  async function retrying<T>(work: (wait: Wait) => Promise<T>, own = waitBudget(), keptMs = 0): Promise<T> {
    const wait = own.begin()
    driver.until(wait.deadline)
    try {
      return await retryBusy(() => {
        refuseReplaced(driver)
        return work(wait)
      }, wait.deadline - keptMs)
    } catch (error) {
      if (error instanceof IntegrationsError) throw error
      // Prisma takes the error of a file that was replaced meanwhile for a driver's.
      refuseReplaced(driver)
      const said = databaseError(error, database)
      if (isBusy(error)) throw await withHolder(said)
      throw (mayComeFromTables(error) && (await changedTables(error))) || said
    } finally {
      wait.over()
    }
  }

  /** The comparison that is under way, which all statements share that have failed. */
  let comparing: Promise<IntegrationsError | undefined> | undefined

  async function changedTables(cause: unknown): Promise<IntegrationsError | undefined> {
    if (!compare) return undefined
    comparing ??= reading
      .use((adapter) => compare(onAdapter(adapter, driver)))
      .catch(() => undefined)
      .finally(() => {
        comparing = undefined
      })
    return (await comparing)?.with({ cause })
  }

  /** The error of a busy database, with the name of what keeps it busy. */
  async function withHolder(busy: unknown): Promise<unknown> {
    const { lockHolder } = driver
    if (!lockHolder || !(busy instanceof IntegrationsError)) return busy
    const asked = reading.use((adapter) => lockHolder(onAdapter(adapter, driver)))
    const holder = await Promise.race([asked.catch(() => undefined), sleep(holderMs, undefined, { ref: false })])
    const { code, hint, cause } = busy
    return holder ? new IntegrationsError({ code, message: `${busy.message}: ${holder}`, hint, cause }) : busy
  }

  return {
    waitBudget,
    retrying,
    read: (work, own) => retrying(() => reading.use((adapter) => work(onAdapter(adapter, driver))), own),
    snapshot: (work) => retrying((wait) => reading.use((adapter) => snapshotOn({ driver, adapter, wait }, work))),
    mutate: (work, { waitBudget, withModels = false } = {}) => {
      let loader: ModelLoader | undefined
      return retrying(
        (wait) =>
          changing.use(async (adapter) => {
            loader ??= modelLoader(driver.client, adapter)
            if (withModels) await loader.warmUp()
            return changeOn({ driver, adapter, wait, loader }, work)
          }),
        waitBudget,
        driver.keptMs,
      )
    },
    close: async () => {
      // SQLite would remove the log beside the file that has the name now.
      if (!driver.replaced?.()) await Promise.all([reading.end(), changing.end()])
    },
  }
}

/** Work in one transaction, which holds the lock of the head row from its first statement on. */
async function changeOn<T>(
  { driver, adapter, wait, loader }: Connected & { readonly loader: ModelLoader },
  work: (tx: WritableStatements) => Promise<{ readonly result: T; readonly keep: boolean }>,
): Promise<T> {
  const transaction = await adapter.startTransaction()
  const tx = { ...onAdapter(transaction, driver), models: () => loader.on(transaction) }
  let done: Awaited<ReturnType<typeof work>>
  try {
    await lockHead(tx)
    wait.over()
    failpoint('head locked')
    done = await work(tx)
  } catch (error) {
    // A transaction that is lost already cannot be undone once more.
    await transaction.rollback().catch(() => {})
    throw error
  }
  if (done.keep)
    await transaction.commit().catch((error) => {
      if (!isCommitUnknown(error)) throw error
      throw commitUnknown('the change was', 'check with integrations audit list whether it was made', error)
    })
  else await transaction.rollback()
  return done.result
}

/** A connection, and the wait for the database that is under way. */
interface Connected {
  readonly driver: Driver
  readonly adapter: SqlDriverAdapter
  readonly wait: Wait
}

/** Work on one moment of the database; the wait for the database is over when its transaction has begun. */
async function snapshotOn<T>({ driver, adapter, wait }: Connected, work: (db: Statements) => Promise<T>): Promise<T> {
  // PostgreSQL would show every statement another moment. SQLite knows no other level than the highest.
  const level = driver.provider === 'postgresql' ? 'REPEATABLE READ' : 'SERIALIZABLE'
  const transaction = await adapter.startTransaction(level).catch((error) => {
    if (!isStatementPooler(error)) throw error
  })
  wait.over()
  // In statement mode, each statement shows another moment.
  if (!transaction) return work(onAdapter(adapter, driver, true))
  try {
    return await work(onAdapter(transaction, driver))
  } finally {
    await transaction.rollback()
  }
}

function refuseReplaced({ replaced }: Driver): void {
  const error = replaced?.()
  if (error) throw error
}

const closed = () =>
  new IntegrationsError({
    code: 'DATABASE_UNREACHABLE',
    message: 'the connection to the database was closed',
    hint: 'close it when nothing is under way any more',
  })

/**
 * A connection that is opened when it is first used, and again after it has failed: a client that saw a transaction fail
 * may hold on to it, and acknowledge writes that are never committed. Whoever uses it meanwhile may finish.
 */
function connection<C>(open: () => Promise<C>, close: (connection: C) => Promise<unknown>) {
  interface Opened {
    readonly connection: Promise<C>
    users: number
    over: boolean
  }
  let current: Opened | undefined
  let ended = false
  const endIfUnused = async ({ connection, users, over }: Opened) => {
    // One that could not be opened, or is lost, need not be closed.
    if (over && users === 0) await connection.then(close).catch(() => {})
  }
  return {
    async use<T>(work: (connection: C) => Promise<T>): Promise<T> {
      // What is under way when the program ends must not keep it.
      if (ended) throw closed()
      current ??= { connection: open(), users: 0, over: false }
      const mine = current
      mine.users++
      try {
        return await work(await mine.connection)
      } catch (error) {
        mine.over = true
        if (current === mine) current = undefined
        throw error
      } finally {
        mine.users--
        await endIfUnused(mine)
      }
    },
    async end(): Promise<void> {
      ended = true
      if (!current) return
      current.over = true
      await endIfUnused(current)
      current = undefined
    },
  }
}

/**
 * The first statement of every change. It puts all changes in one order; and since it writes, SQLite's transaction has
 * the write lock from here on and cannot fail at its first write after reading.
 */
async function lockHead(tx: WritableStatements): Promise<void> {
  const changed = await tx.execute(sql`UPDATE integration_settings SET updated_at = ${new Date()} WHERE key = 'head'`)
  if (changed !== 1)
    throw databaseInvalid('the head row of integration_settings is missing', 'restore it from a backup')
}
