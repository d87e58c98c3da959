import sql, { empty, join, raw, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../../damage.ts'
import { quoted } from '../../../errors.ts'
import { maxTextBytes, maxWhole, naming, pageBytes } from '../cells.ts'
import type { ColumnKind, Dialect, Listing } from '../driver.ts'
import type { Select, Statements } from '../statements.ts'

/** How a row tells of a cell that it does not hold. */
const marked = (size: string) => `chr(127) || 'text ' || ${size} || ' '`

/** A column of texts; its length is told without reading it. */
const textOrMark = (column: string) =>
  `CASE WHEN octet_length((${column})::text) > ${maxTextBytes} THEN ${marked(`octet_length((${column})::text)`)} ELSE (${column})::text END`

/** A column as it is, as in `i.name`: one of texts. */
const guarded = (value: Sql) => (/^\w+\.\w+$/.test(value.sql) ? naming(value, textOrMark) : value)

/** JavaScript has no infinity, and no year of more than six digits. */
const isInstant = (column: string) => `${column} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'`

const isNotWhole = (column: string) => `(${column} NOT BETWEEN -${maxWhole} AND ${maxWhole})`

function isMalformed(kind: ColumnKind, column: Sql): Sql {
  switch (kind) {
    case 'text':
      // The second looks like what tells of the first.
      return naming(
        column,
        (name) => `(octet_length((${name})::text) > ${maxTextBytes} OR strpos((${name})::text, chr(127)) > 0)`,
      )
    case 'whole':
      return naming(column, isNotWhole)
    case 'time':
      return naming(column, (name) => `(NOT ${isInstant(name)})`)
    case 'flag':
      return sql`FALSE`
  }
}

type Selected = Parameters<Select>[0]

const names = (columns: Selected) => join(columns.map(([name]) => raw(`q."${name}"`)))

/** How many bytes a row `q` has, whose texts are not read for it. */
const bytes = (columns: Selected) =>
  sql`(${join(
    columns.map(([name]) => raw(`coalesce(octet_length(q."${name}"::text), 0)`)),
    ' + ',
  )})`

/** A value with its type, which nothing else tells in a list of them. */
const typed = (value: string | number | Date) =>
  sql`${value}::${raw(typeof value === 'string' ? 'text' : typeof value === 'number' ? 'int' : 'timestamp')}`

/** The SQL of PostgreSQL. */
export const dialect: Dialect = {
  select: (columns, rest) =>
    sql`SELECT ${join(columns.map(([name, value]) => sql`${guarded(value)} AS ${raw(`"${name}"`)}`))} ${rest}`,
  // Without the OFFSET, PostgreSQL would plan and compute each column twice, once to measure it.
  selectPage: (columns, rest) =>
    sql`SELECT ${names(columns)}, q.after FROM (
        SELECT q.*, sum(bytes) OVER (ROWS UNBOUNDED PRECEDING) - bytes AS start,
          (sum(bytes) OVER () - sum(bytes) OVER (ROWS UNBOUNDED PRECEDING))::float8 AS after
        FROM (SELECT q.*, ${bytes(columns)} AS bytes FROM (SELECT * FROM (${dialect.select(columns, rest)}) q OFFSET 0) q) q) q
      WHERE q.start < ${raw(String(pageBytes))}`,
  whole: (column) =>
    naming(
      column,
      (name) =>
        `CASE WHEN ${isNotWhole(name)} THEN ${marked(`octet_length((${name})::text)`)} ELSE (${name})::text END`,
    ),
  flag: (_, made) => made,
  isMalformed,
  lock: sql`FOR UPDATE`,
  async updateRows(db, { table, keys, given, rows, set, where }) {
    if (rows.length === 0) return []
    const values = join(rows.map((row, index) => sql`(${index}::int, ${join(row.map(typed))})`))
    const same = raw(keys.map((key) => `${table}.${key} = given.${key}`).join(' AND '))
    const others = rows.length === 1 ? empty : raw('SKIP LOCKED')
    const { rows: held } = await db.fetch<{ index: number }>(
      { index: empty },
      sql`WITH given (index, ${raw(given.join())}) AS (VALUES ${values}),
        locked AS MATERIALIZED (SELECT given.* FROM given JOIN ${raw(table)} ON ${same} FOR NO KEY UPDATE OF ${raw(table)} ${others}),
        changed AS (UPDATE ${raw(table)} SET ${set} FROM locked given WHERE ${same} AND ${where})
        SELECT given.index FROM given JOIN ${raw(table)} ON ${same} WHERE given.index NOT IN (SELECT index FROM locked)`,
    )
    return held.map(({ index }) => index)
  },
  toRfc3339: (column) =>
    naming(
      column,
      (name) => `CASE WHEN ${isInstant(name)} THEN to_char(${name}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
      ELSE chr(127) || 'timestamp ' || length((${name})::text) || ' ' || upper(encode(convert_to((${name})::text, 'UTF8'), 'hex')) END`,
    ),
  comparableTime: (column) => column,
  now: sql`(clock_timestamp() AT TIME ZONE 'UTC')`,
  nowPlus: (milliseconds) =>
    sql`(clock_timestamp() AT TIME ZONE 'UTC' + ${milliseconds}::int * interval '1 millisecond')`,
  role: sql`current_user::text`,
  mayUpdate: (table, column) => sql`has_column_privilege(${table}::text, ${column}::text, 'UPDATE')`,
  timeLiteral: (instant) => sql`CAST(${instant.replace('Z', '')} AS timestamp)`,
  // The operators of a type of an extension may be in a schema that is not looked into, where its order counts all the same.
  binaryOrder: (column) => sql`(${column})::text COLLATE "C"`,
  isIndexedByBytes: (
    table,
    column,
  ) => sql`EXISTS (SELECT FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
    WHERE x.indrelid = to_regclass(${table}) AND a.attname = ${column} AND x.indcollation[0] = '"C"'::regcollation AND x.indisvalid AND x.indpred IS NULL)`,
  equals: (column, text) => sql`${column} COLLATE "C" = ${text}`,
  startsWith: (column, prefix) => sql`${dialect.binaryOrder(column)} LIKE ${`${prefix.replace(/[\\%_]/g, '\\$&')}%`}`,
  isAfter: ([key, id], [lastKey, lastId]) => sql`${key} >= ${lastKey} AND (${key}, ${id}) > (${lastKey}, ${lastId})`,
  nothing: sql`DEFAULT`,
  // What takes few bytes where it is stored may be long only when it was packed well, which takes some.
  asText: (column) =>
    naming(
      column,
      (name) =>
        `CASE WHEN pg_column_size(${name}) > 2000 AND octet_length(${name}::text) > ${maxTextBytes} THEN ${marked(`octet_length(${name}::text)`)} ELSE ${name}::text END`,
    ),
  // lower() of the C collation changes ASCII letters alone, as SQLite's does.
  equalsInAnyCase: (column, text) => sql`lower(${column} COLLATE "C") = lower(${text} COLLATE "C")`,
  contains: (column, text) => sql`strpos(lower(${column} COLLATE "C"), lower(${text} COLLATE "C")) > 0`,
  jsonRows: (columns, from) =>
    sql`(SELECT json_agg(json_build_array(${join(columns.map(guarded))}))::text FROM ${from})`,
  rowsAtOnce: undefined,
  async *parts(_, table) {
    yield raw(table)
  },
  pages: (db, listing, size) => readAhead(pages(db, listing, size)),
}

/** A session that keeps others waiting. */
interface Holder {
  readonly pid: string
  readonly name: string | null
  readonly since: string | null
  readonly keeps: boolean
}

/**
 * Tells which session holds a lock on one of the tables, and waits for none itself: as far as the role may see. Of
 * several, one that others wait for comes first, then the head row's, and then the oldest.
 *
 * @param advisory the number of the lock that a migration takes
 */
export const lockHolder =
  (advisory: number) =>
  async (db: Statements): Promise<string | undefined> => {
    const [holder] = await db.query<Holder>(
      {
        pid: dialect.whole(sql`a.pid`),
        name: sql`a.application_name`,
        since: dialect.toRfc3339(sql`a.xact_start`),
        keeps: sql`EXISTS (SELECT FROM pg_locks w WHERE NOT w.granted AND a.pid = ANY (pg_blocking_pids(w.pid)))`,
      },
      sql`FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
      JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON l.locktype = 'relation' AND c.oid = l.relation
      WHERE l.granted AND l.pid <> pg_backend_pid() AND cardinality(pg_blocking_pids(l.pid)) = 0
        AND (c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND (c.relname IN ('workspaces', 'users') OR starts_with(c.relname, 'integration'))
            AND c.relkind IN ('r', 'p') AND l.mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')
          OR l.locktype = 'advisory' AND (l.classid::bigint << 32) + l.objid::bigint = ${advisory}::bigint)
      ORDER BY 4 DESC, c.relname IS DISTINCT FROM 'integration_settings', a.xact_start LIMIT 1`,
    )
    if (!holder) return undefined
    const name = holder.name ? ` (${quoted(holder.name)})` : ''
    const since = holder.since ? `, in a transaction since ${holder.since}` : ''
    // Our own wait is over by now.
    return `process ${holder.pid}${name} ${holder.keeps ? 'holds' : 'may hold'} the lock${since}`
  }

async function* pages<Row extends object>(
  db: Statements,
  { columns, columnsFrom, where, order, limit }: Listing<Row>,
  most: number,
): AsyncGenerator<(Row & Damageable)[]> {
  const selected = Object.entries<Sql>(columns)
  const query = dialect.select(selected, sql`FROM ${columnsFrom()} WHERE ${where} ORDER BY ${order} ${limit}`)
  // What follows a row is measured by the squares of its lengths: n rows have at most the root of n times their sum.
  // Without the OFFSET, PostgreSQL would measure each row twice.
  await db.execute(sql`DECLARE listing NO SCROLL CURSOR FOR
    SELECT ${names(selected)}, (sum(bytes::bigint * bytes) OVER (ROWS BETWEEN 1 FOLLOWING AND ${raw(String(most))} FOLLOWING))::float8 AS after
    FROM (SELECT q.*, ${bytes(selected)} AS bytes FROM (${query}) q OFFSET 0) q`)
  try {
    for (let size = 1; size > 0; ) {
      const { rows, after } = await db.fetch<Row>(columns, sql`FETCH ${raw(String(size))} FROM listing`)
      if (rows.length > 0) yield rows
      size = after === 0 ? 0 : Math.min(Math.max(Math.floor(pageBytes ** 2 / after), 1), most)
    }
  } finally {
    // The same transaction may read another listing. One that has failed takes no statement, and its first error counts.
    await db.execute(sql`CLOSE listing`).catch(() => {})
  }
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
    // The caller ends the transaction, or reads another listing: nothing may be under way on its connection by then.
    await next.catch(() => {})
    await batches.return(undefined)
  }
}
