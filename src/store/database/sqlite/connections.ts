import type { InStatement, Transaction, TransactionMode } from '@libsql/client/sqlite3'
import { PrismaLibSql } from '@prisma/adapter-libsql'
import type { IntegrationsError } from '../../../errors.ts'
import { retryBusy } from '../busy.ts'

/** libsql is built to keep what SQLite sorts and counts in memory, where rows of long texts would fill it. */
const spill = 'PRAGMA temp_store = FILE'

/** Connections for reading. */
export class Readable extends PrismaLibSql {
  readonly #settings: string

  /** @param readOnly SQLite refuses every change */
  constructor(config: ConstructorParameters<typeof PrismaLibSql>[0], readOnly: boolean) {
    super(config)
    this.#settings = readOnly ? `${spill}; PRAGMA query_only = ON` : spill
  }

  override createClient(config: ConstructorParameters<typeof PrismaLibSql>[0]) {
    const client = super.createClient(config)
    const { execute } = client
    const begin: (mode: TransactionMode) => Promise<Transaction> = client.transaction.bind(client)
    // A client leaves its connection to a transaction and opens another: each has to be told.
    return Object.assign(client, {
      execute: async (statement: InStatement) => {
        await client.executeMultiple(this.#settings)
        return execute.call(client, statement as string)
      },
      transaction: async (mode: TransactionMode) => {
        const transaction = await begin(mode)
        await transaction.executeMultiple(this.#settings)
        return transaction
      },
    })
  }
}

/** How a transaction waits for its beginning. */
interface Waiting {
  /** Why it must not begin any more, nor commit. */
  replaced(): IntegrationsError | undefined
  /** Until when it waits, by `performance.now()`. */
  deadline(): number
}

/**
 * Connections on which a transaction begins with the lock on the database, and waits for it. A hundred processes that each
 * made a Prisma client for every try would leave the one that has the lock no time to end its work.
 */
export class Writable extends PrismaLibSql {
  readonly #waiting: Waiting

  constructor(config: ConstructorParameters<typeof PrismaLibSql>[0], waiting: Waiting) {
    super(config)
    this.#waiting = waiting
  }

  override createClient(config: ConstructorParameters<typeof PrismaLibSql>[0]) {
    const client = super.createClient(config)
    const begin: (mode: TransactionMode) => Promise<Transaction> = client.transaction.bind(client)
    const beginNew = () =>
      begin('write').catch(async (error) => {
        // libsql does not end the statement that failed, whose old snapshot would be busy for ever.
        const replaced = this.#waiting.replaced()
        if (!replaced) await client.reconnect()
        throw replaced ?? error
      })
    return Object.assign(client, {
      transaction: async () => {
        const transaction = await retryBusy(beginNew, this.#waiting.deadline())
        await transaction.execute(spill)
        const { commit } = transaction
        return Object.assign(transaction, {
          commit: async () => {
            const replaced = this.#waiting.replaced()
            if (replaced) {
              await transaction.rollback()
              throw replaced
            }
            try {
              await commit.call(transaction)
            } catch (error) {
              // Nobody has the connection any more, which would keep its lock.
              transaction.close()
              throw error
            }
          },
        })
      },
    })
  }
}
