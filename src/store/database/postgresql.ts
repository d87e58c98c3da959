import { PrismaPg } from '@prisma/adapter-pg'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import pg from 'pg'
import sql, { join, raw, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'
import { maxTextBytes } from './cells.ts'
import { type ConnectionOptions, poolConfig } from './connection-options.ts'
import type { Client, Dialect, Driver, Listing } from './driver.ts'
import { commitUnknown, isConnectionLost } from './errors.ts'
import type { Statements } from './statements.ts'

/** Locks out every other process that migrates; the number is ours alone. */
const migrationLock = 7_251_104_816

/**
 * A PostgreSQL database.
 *
 * @throws BAD_INPUT when a file that its TLS parameters name cannot be read
 */
export function postgresql(options: ConnectionOptions): Driver {
  const { schema } = options
  const config = poolConfig(options)
  return {
    provider: 'postgresql',
    dialect,
    connect: () => new PrismaPg(config, { schema }).connect(),
    client: async () => {
      const { PrismaClient } = await import('../generated/postgresql/client.ts')
      return new PrismaClient({ adapter: new PrismaPg(config, { schema }) }) as unknown as Client
    },
    isDurable: async () => true,
    makeDurable: async () => {},
    withMigrationLock: async (work) => {
      const pool = new pg.Pool(config)
      try {
        const connection = await pool.connect()
        // Its loss is told by the next statement.
        connection.on('error', () => {})
        try {
          await connection.query('BEGIN')
          await connection.query('SELECT pg_advisory_xact_lock($1)', [migrationLock])
          const result = await work(await adapterOn(connection, schema))
          await commit(connection)
          return result
        } finally {
          // Closed, not kept: that ends a transaction which is still open.
          connection.release(true)
        }
      } finally {
        await pool.end()
      }
    },
  }
}

async function commit(connection: pg.PoolClient): Promise<void> {
  try {
    await connection.query('COMMIT')
  } catch (cause) {
    if (!isConnectionLost(cause)) throw cause
    throw commitUnknown('the migrations were', 'check with integrations db status whether they were applied', cause)
  }
}

/** Prisma's adapter on one connection, whose scripts go to the server as one simple query. */
async function adapterOn(connection: pg.PoolClient, schema: string): Promise<SqlDriverAdapter> {
  // The adapter takes nothing but a pool, and a pool replaces a connection that was lost, outside the transaction.
  const pool = Object.assign(new pg.Pool(), { query: connection.query.bind(connection) })
  const adapter = await new PrismaPg(pool, { schema }).connect()
  return {
    provider: 'postgres',
    adapterName: adapter.adapterName,
    queryRaw: (query) => adapter.queryRaw(query),
    executeRaw: (query) => adapter.executeRaw(query),
    executeScript: async (script) => void (await connection.query(script)),
    startTransaction: () => Promise.reject(new Error('a transaction is open')),
    getConnectionInfo: () => adapter.getConnectionInfo(),
    dispose: async () => {},
  }
}

/** The biggest whole number that JavaScript tells from its neighbours. */
const maxWhole = raw(String(Number.MAX_SAFE_INTEGER))

const maxBytes = raw(String(maxTextBytes))

/** How a row tells of a cell that it does not hold. */
const marked = (size: Sql) => sql`chr(127) || 'text ' || ${size} || ' '`

/** A column as it is, as in `i.name`: one of texts. Its length is told without reading it. */
const guarded = (value: Sql) =>
  /^\w+\.\w+$/.test(value.sql)
    ? sql`CASE WHEN octet_length(${value}) > ${maxBytes} THEN ${marked(sql`octet_length(${value})`)} ELSE ${value} END`
    : value

const dialect: Dialect = {
  select: (columns, rest) =>
    sql`SELECT ${join(columns.map(([name, value]) => sql`${guarded(value)} AS ${raw(`"${name}"`)}`))} ${rest}`,
  whole: (column) =>
    sql`CASE WHEN ${column} NOT BETWEEN -${maxWhole} AND ${maxWhole} THEN ${marked(sql`octet_length((${column})::text)`)} ELSE (${column})::text END`,
  lock: sql`FOR UPDATE`,
  // JavaScript has no infinity, and no year of more than six digits.
  toRfc3339: (column) =>
    sql`CASE WHEN ${column} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999' THEN to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
      ELSE chr(127) || 'timestamp ' || length((${column})::text) || ' ' || upper(encode(convert_to((${column})::text, 'UTF8'), 'hex')) END`,
  comparableTime: (column) => column,
  now: sql`(clock_timestamp() AT TIME ZONE 'UTC')`,
  nowPlus: (milliseconds) =>
    sql`(clock_timestamp() AT TIME ZONE 'UTC' + ${milliseconds}::int * interval '1 millisecond')`,
  role: sql`current_user::text`,
  timeLiteral: (instant) => sql`CAST(${instant.replace('Z', '')} AS timestamp)`,
  binaryOrder: (column) => sql`${column} COLLATE "C"`,
  isUnreadable: (column) => sql`octet_length(${column}) > ${maxBytes}`,
  // What takes few bytes where it is stored may be long only when it was packed well, which takes some.
  asText: (column) =>
    sql`CASE WHEN pg_column_size(${column}) > 2000 AND octet_length(${column}::text) > ${maxBytes} THEN ${marked(sql`octet_length(${column}::text)`)} ELSE ${column}::text END`,
  // lower() of the C collation changes ASCII letters alone, as SQLite's does.
  contains: (column, text) => sql`strpos(lower(${column} COLLATE "C"), lower(${text} COLLATE "C")) > 0`,
  jsonRows: (columns, from) =>
    sql`(SELECT json_agg(json_build_array(${join(columns.map(guarded))}))::text FROM ${from})`,
  pages: (db, listing, size) => readAhead(pages(db, listing, size)),
}

async function* pages<Row extends object>(
  db: Statements,
  { columns, from, where, order, limit }: Listing<Row>,
  size: number,
): AsyncGenerator<(Row & Damageable)[]> {
  const query = dialect.select(
    Object.entries<Sql>(columns),
    sql`FROM ${from} WHERE ${where} ORDER BY ${order} ${limit}`,
  )
  await db.execute(sql`DECLARE listing NO SCROLL CURSOR FOR ${query}`)
  for (;;) {
    const rows = await db.fetch<Row>(columns, sql`FETCH ${raw(String(size))} FROM listing`)
    if (rows.length > 0) yield rows
    if (rows.length < size) break
  }
  // The same transaction may read another listing.
  await db.execute(sql`CLOSE listing`)
}

/** Gives each batch while the server is reading the next. */
async function* readAhead<Row>(batches: AsyncGenerator<Row[]>): AsyncGenerator<Row[]> {
  const read = () => {
    const batch = batches.next()
    // The consumer hears of a failure; until then it must not count as an unhandled one.
    batch.catch(() => {})
    return batch
  }
  let next = read()
  try {
    for (let batch = await next; !batch.done; batch = await next) {
      next = read()
      yield batch.value
    }
  } finally {
    // The caller ends the transaction, and nothing may be under way on its connection by then.
    await next.catch(() => {})
  }
}
