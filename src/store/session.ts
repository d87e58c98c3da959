import { setTimeout as sleep } from 'node:timers/promises'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import sql from 'sql-template-tag'
import { IntegrationsError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import type { Database } from './database.ts'
import type { Client, Driver } from './driver.ts'
import { databaseError, isBusy, isConnectionLost } from './failure.ts'
import { onAdapter, onPrisma, type Statements, type Transaction } from './statements.ts'

/** The longest time that a timer takes, in milliseconds. */
const unlimited = 2 ** 31 - 1

/** Work on an open database; what a driver or Prisma throws comes out as an error of ours. */
export type Session = ReturnType<typeof startSession>

/**
 * Runs statements with retries to the deadline, on connections that are thrown away after a failure.
 *
 * @param wait how long to go on when the database is busy, in milliseconds
 */
export function startSession(driver: Driver, database: Database, wait: number) {
  let reading: Promise<SqlDriverAdapter> | undefined
  let changing: Promise<Client> | undefined

  // A client that saw a transaction fail may hold on to it, and acknowledge writes that are never committed.
  async function discard(): Promise<void> {
    const old = [reading?.then((adapter) => adapter.dispose()), changing?.then((client) => client.$disconnect())]
    reading = undefined
    changing = undefined
    await Promise.allSettled(old)
  }

  async function retrying<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + wait
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        await discard()
        if (error instanceof IntegrationsError) throw error
        const pause = Math.random() * Math.min(1000, 20 * 2 ** attempt)
        if (!isBusy(error) || performance.now() + pause > deadline) throw databaseError(error, database)
        await sleep(pause)
      }
    }
  }

  const read = <T>(work: (db: Statements) => Promise<T>): Promise<T> =>
    retrying(async () => {
      reading ??= driver.connect()
      return work(onAdapter(await reading, driver.provider))
    })

  const snapshot = <T>(work: (db: Statements) => Promise<T>): Promise<T> =>
    retrying(async () => {
      reading ??= driver.connect()
      // PostgreSQL would show every statement another moment. SQLite knows no other level than the highest.
      const transaction = await (await reading).startTransaction(
        driver.provider === 'postgresql' ? 'REPEATABLE READ' : 'SERIALIZABLE',
      )
      try {
        return await work(onAdapter(transaction, driver.provider))
      } finally {
        // The adapters differ in who says ROLLBACK.
        if (!transaction.options.usePhantomQuery)
          await transaction.executeRaw({ sql: 'ROLLBACK', args: [], argTypes: [] }).catch(() => {})
        await transaction.rollback()
      }
    })

  /** `work` tells whether what it did is to be kept. */
  const mutate = <T>(work: (tx: Transaction) => Promise<{ readonly result: T; readonly keep: boolean }>): Promise<T> =>
    retrying(async () => {
      const rollBack = new Error('not to be kept')
      let done: { result: T; keep: boolean } | undefined
      try {
        changing ??= driver.client()
        await (await changing).$transaction(
          async (models) => {
            const tx = onPrisma(models)
            await lockHead(tx)
            failpoint('head locked')
            done = await work(tx)
            if (!done.keep) throw rollBack
          },
          // Locks are waited for no longer than the drivers allow; what holds them may take its time.
          { maxWait: unlimited, timeout: unlimited },
        )
      } catch (error) {
        if (error === rollBack) await discard()
        else if (done?.keep && isConnectionLost(error))
          throw new IntegrationsError(
            'COMMIT_UNKNOWN',
            'the connection was lost while the change was being committed',
            'see with integrations audit list whether it was made',
            { cause: error, committed: null },
          )
        else throw error
      }
      return (done as { result: T }).result
    })

  return { retrying, read, snapshot, mutate, close: discard }
}

/**
 * The first statement of every change. It puts all changes in one order; and since it writes, SQLite's transaction has
 * the write lock from here on and cannot fail at its first write after reading.
 */
async function lockHead(tx: Transaction): Promise<void> {
  const changed = await tx.execute(sql`UPDATE integration_settings SET updated_at = ${new Date()} WHERE key = 'head'`)
  if (changed !== 1)
    throw new IntegrationsError(
      'DATABASE_INVALID',
      'the head row of integration_settings is missing',
      'restore it from a backup',
    )
}
