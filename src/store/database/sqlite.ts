import { accessSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createClient,
  type InStatement,
  type Client as LibsqlClient,
  type Transaction,
  type TransactionMode,
} from '@libsql/client/sqlite3'
import { PrismaLibSql } from '@prisma/adapter-libsql'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import sql, { empty, join, type Sql } from 'sql-template-tag'
import { databaseInvalid, systemCode } from '../../errors.ts'
import type { Client, Dialect, Driver, Listing } from './driver.ts'
import type { Statements } from './statements.ts'

/** Busy waits inside SQLite stop the event loop, so they are short; longer ones are asynchronous, outside. */
const shortWaitMs = 100

/** Whether the file of a database is there, as far as can be told: one in a folder that may not be entered is taken to be. */
export function fileExists(file: string): boolean {
  try {
    accessSync(file)
    return true
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes(systemCode(error))
  }
}

/** Makes an empty database file, readable by its owner alone, in a folder of the same kind. A file that exists stays. */
export function createFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // Made before SQLite opens it, which would make it readable by all; -wal and -shm take its mode over.
  closeSync(openSync(file, 'a', 0o600))
}

/**
 * The embedded database in a file that exists.
 *
 * @param readOnly have SQLite refuse every change
 * @param neverBlock have SQLite wait for nothing
 */
export function sqlite(file: string, readOnly: boolean, neverBlock = false): Driver {
  const timeout = neverBlock ? 0 : shortWaitMs
  // A "file:" URL would decode % and cut at ? and #.
  const url = `file:${encodeURI(file).replaceAll('?', '%3F').replaceAll('#', '%23')}`
  const adapter = new (readOnly ? ReadOnly : PrismaLibSql)({ url, timeout })
  async function withClient<T>(work: (client: LibsqlClient) => Promise<T>): Promise<T> {
    const client = createClient({ url, timeout })
    try {
      return await work(client)
    } finally {
      client.close()
    }
  }
  return {
    provider: 'sqlite',
    dialect,
    connect: () => adapter.connect(),
    client: async (): Promise<Client> => {
      const { PrismaClient } = await import('../generated/sqlite/client.ts')
      const client = new PrismaClient({ adapter })
      await client.$connect()
      // Loading Prisma stops the event loop for a while, as the first wait for a lock does. In between, signals and timers
      // get their turn, which they would not before an immediate.
      await sleep(1)
      return client
    },
    // Prisma's adapter can lose an acknowledged write in the other journal modes (prisma/orm#29933).
    isDurable: async (db) => {
      const [row] = await db.query<{ journal_mode: string }>(sql`PRAGMA journal_mode`)
      return row?.journal_mode === 'wal'
    },
    makeDurable: async () => {
      // Outside a transaction, where alone it can be changed; a pragma that is refused says so only in its answer.
      const { rows } = await withClient((client) => client.execute('PRAGMA journal_mode = WAL'))
      if (rows[0]?.[0] !== 'wal')
        throw databaseInvalid(
          'SQLite cannot keep a write-ahead log beside the database file',
          'put the file on a local disk',
        )
    },
    withMigrationLock: (work) =>
      withClient(async (client) => {
        const transaction = await client.transaction('write')
        try {
          const result = await work(await adapterOn(transaction))
          await transaction.commit()
          return result
        } finally {
          transaction.close()
        }
      }),
  }
}

/** Connections on which SQLite refuses every change. */
class ReadOnly extends PrismaLibSql {
  override createClient(config: ConstructorParameters<typeof PrismaLibSql>[0]) {
    const client = super.createClient(config)
    const { execute } = client
    const begin: (mode: TransactionMode) => Promise<Transaction> = client.transaction.bind(client)
    const queryOnly = 'PRAGMA query_only = ON'
    // A client leaves its connection to a transaction and opens another: each has to be told.
    return Object.assign(client, {
      execute: async (statement: InStatement) => {
        await execute.call(client, queryOnly)
        return execute.call(client, statement as string)
      },
      transaction: async (mode: TransactionMode) => {
        const transaction = await begin(mode)
        await transaction.execute(queryOnly)
        return transaction
      },
    })
  }
}

/** Prisma's adapter on one libsql transaction, whose scripts run whole. */
async function adapterOn(tx: Transaction): Promise<SqlDriverAdapter> {
  class OneTransaction extends PrismaLibSql {
    override createClient() {
      return tx as never
    }
  }
  const adapter = await new OneTransaction({ url: 'file:' }).connect()
  return {
    provider: 'sqlite',
    adapterName: adapter.adapterName,
    queryRaw: (query) => adapter.queryRaw(query),
    executeRaw: (query) => adapter.executeRaw(query),
    executeScript: (script) => adapter.executeScript(script),
    startTransaction: () => Promise.reject(new Error('a transaction is open')),
    dispose: async () => {},
  }
}

const dialect: Dialect = {
  // The transaction has the lock on the whole database already.
  lock: empty,
  // Text with a space or a T, with or without an offset or fraction; or milliseconds since 1970 as an integer.
  toRfc3339: (column) =>
    sql`CASE typeof(${column}) WHEN 'integer' THEN strftime('%Y-%m-%dT%H:%M:%fZ', ${column} / 1000.0, 'unixepoch') ELSE strftime('%Y-%m-%dT%H:%M:%fZ', ${column}) END`,
  comparableTime: (column) =>
    sql`CASE typeof(${column}) WHEN 'integer' THEN ${column} ELSE ${milliseconds(column)} END`,
  now: sql`strftime('%Y-%m-%d %H:%M:%f', 'now')`,
  nowPlus: (milliseconds) => sql`strftime('%Y-%m-%d %H:%M:%f', 'now', ${`+${milliseconds / 1000} seconds`})`,
  role: sql`NULL`,
  timeLiteral: (instant) => sql`${Date.parse(instant)}`,
  // An application may have given its column another collation.
  binaryOrder: (column) => sql`${column} COLLATE BINARY`,
  isUnreadable: (column) => sql`(typeof(${column}) = 'blob' OR instr(${column}, char(0)) > 0)`,
  // Left as a column, a client parses it on the way.
  asText: (column) => sql`CAST(${column} AS TEXT)`,
  contains: (column, text) => sql`instr(lower(${column}), lower(${text})) > 0`,
  jsonRows: (columns, from) => sql`(SELECT json_group_array(json_array(${join(columns)})) FROM ${from})`,
  pages,
}

const milliseconds = (column: Sql) => sql`CAST(round(unixepoch(${column}, 'subsec') * 1000) AS INTEGER)`

async function* pages<Row>(
  db: Statements,
  { columns, from, where, order, limit, id }: Listing,
  size: number,
): AsyncGenerator<Row[]> {
  // SQLite has no cursor to hold across statements: the order goes into a table of the connection's own.
  // libsql is built to keep such tables in memory, where a million rows take a hundred megabytes.
  await db.execute(sql`PRAGMA temp_store = FILE`)
  // Where nothing may be changed, SQLite would refuse this table too.
  const [before] = await db.query<{ query_only: number }>(sql`PRAGMA query_only`)
  await db.execute(sql`PRAGMA query_only = OFF`)
  await db.execute(sql`DROP TABLE IF EXISTS temp.listing`)
  await db.execute(sql`CREATE TEMP TABLE listing (id TEXT NOT NULL)`)
  await db.execute(sql`INSERT INTO temp.listing SELECT ${id} FROM ${from} WHERE ${where} ORDER BY ${order} ${limit}`)
  if (before?.query_only) await db.execute(sql`PRAGMA query_only = ON`)
  for (let after = 0; ; after += size) {
    const rows = await db.query<Row>(sql`SELECT ${columns} FROM temp.listing CROSS JOIN ${from}
      WHERE ${id} = temp.listing.id AND temp.listing.rowid > ${after} AND temp.listing.rowid <= ${after + size} ORDER BY temp.listing.rowid`)
    if (rows.length > 0) yield rows
    if (rows.length < size) return
  }
}
