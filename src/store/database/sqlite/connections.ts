import {
  type Client,
  type InStatement,
  LibsqlError,
  Sqlite3Transaction,
  type Transaction,
  type TransactionMode,
} from '@libsql/client/sqlite3'
import { PrismaLibSql } from '@prisma/adapter-libsql'
import Database from 'libsql'
import type { IntegrationsError } from '../../../errors.ts'
import type { Processes } from '../../../processes.ts'
import { retryBusy } from '../busy.ts'
import { waitInTurn } from './queue.ts'

/** libsql is built to keep what SQLite sorts and counts in memory, where rows of long texts would fill it. */
const spill = 'PRAGMA temp_store = FILE'

const settingsOf = (readOnly: boolean) => (readOnly ? `${spill}; PRAGMA query_only = ON` : spill)

/** Connections for reading. */
export class Readable extends PrismaLibSql {
  readonly #settings: string

  /** @param readOnly SQLite refuses every change */
  constructor(config: ConstructorParameters<typeof PrismaLibSql>[0], readOnly: boolean) {
    super(config)
    this.#settings = settingsOf(readOnly)
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
  readonly file: string
  /** SQLite refuses every change. */
  readonly readOnly: boolean
  /** Why it must not begin any more, nor commit. */
  replaced(): IntegrationsError | undefined
  /** Until when it waits, by `performance.now()`. */
  deadline(): number
  /** Those that wait too; undefined: chance decides. */
  readonly processes: Processes | undefined
}

/** A connection for changing, whose transactions begin with the lock on the database, and wait for it in turn. */
export class Writable extends PrismaLibSql {
  readonly #waiting: Waiting

  constructor(config: ConstructorParameters<typeof PrismaLibSql>[0], waiting: Waiting) {
    super(config)
    this.#waiting = waiting
  }

  override createClient() {
    const { file, readOnly, replaced, deadline, processes } = this.#waiting
    const refuseReplaced = () => {
      const error = replaced()
      if (error) throw error
    }
    // SQLite would wait by stopping the event loop.
    const database = new Database(file, { timeout: 0 })
    database.exec(settingsOf(readOnly))
    const begin = () => {
      refuseReplaced()
      // One that could not be undone would keep its lock.
      if (database.inTransaction) database.exec('ROLLBACK')
      // Of a prepared statement that was refused as busy, libsql keeps the snapshot, which is busy for ever.
      try {
        database.exec('BEGIN IMMEDIATE')
      } catch (error) {
        // As libsql's client has it.
        if (!(error instanceof Database.SqliteError)) throw error
        throw new LibsqlError(error.message, error.code, undefined, error.rawCode, error)
      }
    }
    const client: Pick<Client, 'transaction' | 'close'> = {
      transaction: async () => {
        await (processes
          ? waitInTurn(begin, { file, processes, deadline: deadline() })
          : retryBusy(async () => begin(), deadline()))
        const transaction = new Sqlite3Transaction(database, 'number')
        const { commit } = transaction
        return Object.assign(transaction, {
          commit: async () => {
            try {
              refuseReplaced()
              await commit.call(transaction)
            } catch (error) {
              transaction.close()
              throw error
            }
          },
        })
      },
      // SQLite would write what the log holds into the file that has the name now.
      close: () => void (replaced() || database.close()),
    }
    return client as Client
  }
}
