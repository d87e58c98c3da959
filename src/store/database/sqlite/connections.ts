import {
  type Client,
  type InStatement,
  LibsqlError,
  Sqlite3Client,
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

/** How many statements stay prepared: more than those that a receiver repeats. */
const maxPrepared = 20

/**
 * Has a connection keep what it has prepared last: SQLite prepares most queries for longer than it runs them. libsql's client
 * reads all rows of one before it asks for another, so that none is in use when it is asked for again.
 */
function keepPrepared(database: Database.Database): Database.Database {
  const { prepare, close } = database
  const prepared = new Map<string, Database.Statement>()
  return Object.assign(database, {
    prepare(source: string) {
      // Some pragmas do what they do while they are prepared.
      if (!/^(SELECT|WITH)\b/.test(source)) return prepare.call(database, source)
      const statement = prepared.get(source) ?? prepare.call(database, source)
      // The last one at the end.
      prepared.delete(source)
      prepared.set(source, statement)
      const [first] = prepared.keys()
      if (first !== undefined && prepared.size > maxPrepared) prepared.delete(first)
      return statement
    },
    close() {
      // Each would keep the connection open.
      prepared.clear()
      return close.call(database)
    },
  })
}

/** Connections for reading. */
export class Readable extends PrismaLibSql {
  readonly #file: string
  readonly #options: { readonly timeout: number }
  readonly #settings: string

  /** @param options `timeout`: how long SQLite waits for a lock, in milliseconds; `readOnly`: SQLite refuses every change */
  constructor(file: string, { timeout, readOnly }: { readonly timeout: number; readonly readOnly: boolean }) {
    super({ url: 'file:' })
    this.#file = file
    this.#options = { timeout }
    this.#settings = settingsOf(readOnly)
  }

  override createClient() {
    const database = keepPrepared(new Database(this.#file, this.#options))
    const client = new Sqlite3Client(this.#file, this.#options, database, 'number')
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
