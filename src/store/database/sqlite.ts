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
import sql, { empty, join, raw, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'
import { databaseInvalid, IntegrationsError, systemCode } from '../../errors.ts'
import { identityOf } from '../../files.ts'
import { firstPageRows, maxTextBytes, maxWhole, nextPageRows, shownBytes } from './cells.ts'
import type { Client, Dialect, Driver, Listing } from './driver.ts'
import { retryBusy } from './errors.ts'
import { onAdapter, type Statements } from './statements.ts'

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

/**
 * Why a file is not the one with this identity; undefined while it is. SQLite goes on with a file that has no name any
 * more, and writes into the log beside the one that has it now.
 */
function replacementOf(file: string, identity: string | null | undefined): IntegrationsError | undefined {
  const now = identityOf(file)
  if (now === identity || now === undefined || identity === undefined) return undefined
  const hint = 'stop what uses a database file before you replace or remove it'
  return now === null
    ? new IntegrationsError({ code: 'DATABASE_MISSING', message: `the file ${file} was removed`, hint })
    : databaseInvalid(`the file ${file} was replaced by another`, hint)
}

/** Makes an empty database file, readable by its owner alone, in a folder of the same kind. A file that exists stays. */
export function createFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  try {
    // Made before SQLite opens it, which would make it readable by all; -wal and -shm take its mode over. Once it is there,
    // none but SQLite may open it: the system drops all locks of a process on a file when that closes one descriptor of it.
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
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
  let deadline = 0
  const identity = identityOf(file)
  const replaced = () => replacementOf(file, identity)
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
    namesSchema: true,
    until: (latest) => {
      deadline = latest
    },
    replaced,
    connect: () => adapter.connect(),
    client: async (): Promise<Client> => {
      const { PrismaClient } = await import('../generated/sqlite/client.ts')
      const client = new PrismaClient({
        adapter: readOnly ? adapter : new Writable({ url, timeout }, { replaced, deadline: () => deadline }),
      })
      await client.$connect()
      // Loading Prisma stops the event loop for a while, as the first wait for a lock does. In between, signals and timers
      // get their turn, which they would not before an immediate.
      await sleep(1)
      return client
    },
    // Prisma's adapter can lose an acknowledged write in the other journal modes (prisma/orm#29933).
    isDurable: async (db) => {
      const [row] = await db.query<{ mode: string }>({ mode: sql`p.journal_mode` }, sql`FROM pragma_journal_mode p`)
      return row?.mode === 'wal'
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
          const adapter = await adapterOn(transaction)
          await requireReadable(onAdapter(adapter, { provider: 'sqlite', dialect }))
          const result = await work(adapter)
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

/** How a transaction waits for its beginning. */
interface Waiting {
  /** Why it must not begin any more. */
  replaced(): IntegrationsError | undefined
  /** Until when it waits, by `performance.now()`. */
  deadline(): number
}

/**
 * Connections on which a transaction begins with the lock on the database, and waits for it. A hundred processes that each
 * made a Prisma client for every try would leave the one that has the lock no time to end its work.
 */
class Writable extends PrismaLibSql {
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
    return Object.assign(client, { transaction: () => retryBusy(beginNew, this.#waiting.deadline()) })
  }
}

/** What Prisma's schema engine reads of a database, as the texts that they are. @throws DATABASE_INVALID for one that cannot be read */
async function requireReadable(db: Statements): Promise<void> {
  const names = { name: sql`m.name`, table: sql`m.tbl_name`, statement: sql`m.sql` }
  const made = await db.query<Record<keyof typeof names, string>>(names, sql`FROM sqlite_master m`)
  if (!made.some(({ name }) => name === '_prisma_migrations')) return
  const texts = { id: sql`m.id`, name: sql`m.migration_name`, checksum: sql`m.checksum`, logs: sql`m.logs` }
  const instants = {
    startedAt: dialect.toRfc3339(sql`m.started_at`),
    finishedAt: dialect.toRfc3339(sql`m.finished_at`),
    rolledBackAt: dialect.toRfc3339(sql`m.rolled_back_at`),
    appliedStepsCount: dialect.whole(sql`m.applied_steps_count`),
  }
  await db.query<object>({ ...texts, ...instants }, sql`FROM _prisma_migrations m`)
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

/** How a page tells of a cell that it does not hold. Of one that is too long, no byte is read. */
const marked = (column: Sql) =>
  sql`char(127) || typeof(${column}) || ' ' || octet_length(${column}) || ' ' || CASE WHEN octet_length(${column}) > ${raw(String(maxTextBytes))} THEN '' ELSE hex(substr(CAST(${column} AS BLOB), 1, ${raw(String(shownBytes))})) END`

/** A column of texts; only its type and length are looked at where it holds something else. */
const textOrMark = (column: Sql) =>
  sql`CASE WHEN typeof(${column}) = 'null' OR (typeof(${column}) = 'text' AND octet_length(${column}) <= ${raw(String(maxTextBytes))}) THEN ${column} ELSE ${marked(column)} END`

/** A column as it is, as in `i.name` or `name`. */
const bareColumn = /^(\w+\.)?("\w+"|[a-z_]+)$/

const guarded = (value: Sql) => (bareColumn.test(value.sql) ? textOrMark(value) : value)

/** `made` of a column of instants; a mark where the column holds another kind of value. */
const orMark = (column: Sql, made: Sql) =>
  sql`coalesce(${made}, CASE WHEN typeof(${column}) <> 'null' THEN ${marked(column)} END)`

const dialect: Dialect = {
  // One BLOB: libsql ends the process for a text that is not UTF-8, and takes every cell apart.
  select: (columns, rest) =>
    sql`SELECT CAST(json_group_array(json_array(${join(columns.map(([name]) => raw(`"${name}"`)))})) AS BLOB) AS page
      FROM (SELECT ${join(columns.map(([name, value]) => sql`${guarded(value)} AS ${raw(`"${name}"`)}`))} ${rest})`,
  whole: (column) =>
    sql`CASE WHEN typeof(${column}) = 'null' OR (typeof(${column}) = 'integer' AND ${column} BETWEEN -${maxWhole} AND ${maxWhole}) THEN ${column} ELSE ${marked(column)} END`,
  // The transaction has the lock on the whole database already.
  lock: empty,
  // Text with a space or a T, with or without an offset or fraction; or milliseconds since 1970 as an integer.
  toRfc3339: (column) =>
    orMark(
      column,
      sql`CASE typeof(${column}) WHEN 'integer' THEN CASE WHEN ${column} BETWEEN -62167219200000 AND 253402300799999 THEN strftime('%Y-%m-%dT%H:%M:%fZ', ${column} / 1000.0, 'unixepoch') END
        WHEN 'blob' THEN NULL ELSE CASE WHEN octet_length(${column}) < 100 AND substr(${column}, 1, 1) <> '-' THEN strftime('%Y-%m-%dT%H:%M:%fZ', ${column}) END END`,
    ),
  comparableTime: (column) =>
    sql`CASE typeof(${column}) WHEN 'integer' THEN ${column} ELSE ${milliseconds(column)} END`,
  now: sql`strftime('%Y-%m-%d %H:%M:%f', 'now')`,
  nowPlus: (milliseconds) => sql`strftime('%Y-%m-%d %H:%M:%f', 'now', ${`+${milliseconds / 1000} seconds`})`,
  role: sql`NULL`,
  timeLiteral: (instant) => sql`${Date.parse(instant)}`,
  // An application may have given its column another collation.
  binaryOrder: (column) => sql`${column} COLLATE BINARY`,
  asText: (column) =>
    sql`CASE WHEN typeof(${column}) = 'blob' OR octet_length(${column}) > ${raw(String(maxTextBytes))} THEN ${marked(column)} ELSE CAST(${column} AS TEXT) END`,
  contains: (column, text) => sql`instr(lower(${column}), lower(${text})) > 0`,
  jsonRows: (columns, from) =>
    // Added to a text, it is one: JSON inside JSON would be an array.
    sql`(SELECT json_group_array(json_array(${join(columns.map(guarded))})) || '' FROM ${from})`,
  pages,
}

const milliseconds = (column: Sql) => sql`CAST(round(unixepoch(${column}, 'subsec') * 1000) AS INTEGER)`

async function* pages<Row extends object>(
  db: Statements,
  { columns, from, where, order, limit, id }: Listing<Row>,
  most: number,
): AsyncGenerator<(Row & Damageable)[]> {
  // SQLite has no cursor to hold across statements: the order goes into a table of the connection's own.
  // libsql is built to keep such tables in memory, where a million rows take a hundred megabytes.
  await db.execute(sql`PRAGMA temp_store = FILE`)
  // Where nothing may be changed, SQLite would refuse this table too.
  const readOnly = await db.some(sql`FROM pragma_query_only p WHERE p.query_only`)
  await db.execute(sql`PRAGMA query_only = OFF`)
  await db.execute(sql`DROP TABLE IF EXISTS temp.listing`)
  await db.execute(sql`CREATE TEMP TABLE listing (id TEXT NOT NULL)`)
  await db.execute(sql`INSERT INTO temp.listing SELECT ${id} FROM ${from} WHERE ${where} ORDER BY ${order} ${limit}`)
  if (readOnly) await db.execute(sql`PRAGMA query_only = ON`)
  for (let after = 0, size = Math.min(most, firstPageRows); ; ) {
    const rows = await db.queryAll<Row>(
      columns,
      sql`FROM temp.listing CROSS JOIN ${from}
        WHERE ${id} = temp.listing.id AND temp.listing.rowid > ${after} AND temp.listing.rowid <= ${after + size} ORDER BY temp.listing.rowid`,
    )
    if (rows.length > 0) yield rows
    if (rows.length < size) return
    after += size
    size = nextPageRows(rows, most)
  }
}
