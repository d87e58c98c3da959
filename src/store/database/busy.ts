import { setTimeout as sleep } from 'node:timers/promises'
import { IntegrationsError } from '../../errors.ts'
import { facts } from './symptoms.ts'

/** SQLSTATE, SQLite and Node codes that a later try may not meet. */
const busyCodes = /^(SQLITE_BUSY.*|SQLITE_LOCKED.*|P1008|P2034|40001|40P01|55P03)$/

/**
 * Whether an error says that another process holds a lock, so that the same statement may succeed in a moment.
 * SQLite says it in three shapes: P1008 from a model call, P2010 around SQLITE_BUSY from a raw statement, and a bare
 * driver error at COMMIT.
 */
export function isBusy(error: unknown): boolean {
  const { codes, message } = facts(error)
  // P2028 is also what a transaction that could not begin in time says; nothing of it was done then.
  return codes.some((code) => busyCodes.test(code)) || (codes.includes('P2028') && /unable to start/i.test(message))
}

/**
 * Runs work again for as long as the database is busy.
 *
 * @param deadline after which it is not tried again, by `performance.now()`
 * @throws what the work throws
 */
export async function retryBusy<T>(work: () => Promise<T>, deadline: number): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const pauseMs = Math.random() * Math.min(1000, 20 * 2 ** attempt)
      if (error instanceof IntegrationsError || !isBusy(error) || performance.now() + pauseMs > deadline) throw error
      await sleep(pauseMs)
    }
  }
}
