import { setImmediate as turn } from 'node:timers/promises'
import sql, { empty, join, raw, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../../damage.ts'
import { firstRows, maxAnswerBytes, maxTextBytes, maxWhole, naming, nextRows, pageBytes, shownBytes } from '../cells.ts'
import type { ColumnKind, Dialect, Listing } from '../driver.ts'
import type { Select, Statements } from '../statements.ts'

/** Whether a text is longer than a text may be, itself or in JSON, where a control character takes six bytes. */
const isTooLong = (column: string) =>
  `(octet_length(${column}) > ${maxTextBytes} OR (octet_length(${column}) > ${Math.floor(maxTextBytes / 3)} AND octet_length(json_quote(${column})) > ${2 * maxTextBytes}))`

/** How a page tells of a cell that it does not hold. Of one that is too long, no byte is read. */
const marked = (column: string) =>
  `char(127) || typeof(${column}) || ' ' || octet_length(${column}) || ' ' || CASE WHEN octet_length(${column}) > ${maxTextBytes} THEN '' ELSE hex(substr(CAST(${column} AS BLOB), 1, ${shownBytes})) END`

/** A column of texts; only its type and length are looked at where it holds something else. */
const textOrMark = (column: string) =>
  `CASE WHEN typeof(${column}) = 'null' OR (typeof(${column}) = 'text' AND NOT ${isTooLong(column)}) THEN ${column} ELSE ${marked(column)} END`

/** A column as it is, as in `i.name` or `name`. */
const bareColumn = /^(\w+\.)?("\w+"|[a-z_]+)$/

const guarded = (value: Sql) => (bareColumn.test(value.sql) ? naming(value, textOrMark) : value)

/** An instant as RFC 3339 text; NULL for another kind of value. Words such as `now` are no instants. */
const instant = (column: string) =>
  `CASE typeof(${column}) WHEN 'integer' THEN CASE WHEN ${column} BETWEEN -62167219200000 AND 253402300799999 THEN strftime('%Y-%m-%dT%H:%M:%fZ', ${column} / 1000.0, 'unixepoch') END
    WHEN 'blob' THEN NULL ELSE CASE WHEN octet_length(${column}) < 100 AND ${column} GLOB '[0-9][0-9][0-9][0-9]-*' THEN strftime('%Y-%m-%dT%H:%M:%fZ', ${column}) END END`

/** The same; a mark where the column holds another kind of value. */
const instantOrMark = (column: string) =>
  `coalesce(${instant(column)}, CASE WHEN typeof(${column}) <> 'null' THEN ${marked(column)} END)`

const isFlag = (column: string) => `typeof(${column}) IN ('integer', 'null')`

/**
 * Whether a text has bytes that belong to no character. SQLite reads each of these as another character than it copies.
 * Longer texts are names of nothing.
 */
const hasStrayBytes = (column: string) =>
  `(${column} GLOB '*[^ -~]*' AND octet_length(${column}) < 1000 AND EXISTS (
    WITH RECURSIVE place (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < length(${column}))
    SELECT 1 FROM place WHERE CAST(char(unicode(substr(${column}, n, 1))) AS BLOB) <> CAST(substr(${column}, n, 1) AS BLOB)))`

const isNotWhole = (column: string) =>
  `NOT (typeof(${column}) = 'null' OR (typeof(${column}) = 'integer' AND ${column} BETWEEN -${maxWhole} AND ${maxWhole}))`

function isMalformed(kind: ColumnKind, column: Sql): Sql {
  switch (kind) {
    case 'text':
      return naming(
        column,
        (name) => `(typeof(${name}) NOT IN ('text', 'null') OR ${isTooLong(name)} OR ${hasStrayBytes(name)})`,
      )
    case 'whole':
      return naming(column, isNotWhole)
    case 'time':
      return naming(column, (name) => `(typeof(${name}) <> 'null' AND ${instant(name)} IS NULL)`)
    case 'flag':
      return naming(column, (name) => `NOT ${isFlag(name)}`)
  }
}

/**
 * The rows of a query that begin before so many bytes of JSON, as one BLOB of it, and whether there are others: libsql ends
 * the process for a text that is not UTF-8, and takes every cell apart.
 *
 * @param alone where there are others, too; else nothing of these is copied then
 */
const rowsWithin =
  (most: number, alone: boolean): Select =>
  (columns, rest) => {
    const cells = join(columns.map(([, value]) => guarded(value)))
    const fits = raw(`start < ${most}`)
    const json = sql`CAST('[' || group_concat(cells, ',') FILTER (WHERE ${fits}) || ']' AS BLOB)`
    // Without the OFFSET, SQLite would put the cells in each place where they are named, and make them three times.
    return sql`SELECT ${alone ? json : sql`CASE WHEN min(${fits}) THEN ${json} END`} AS json, max(NOT ${fits}) AS after
      FROM (SELECT cells, sum(octet_length(cells)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(cells) AS start
      FROM (SELECT * FROM (SELECT json_array(${cells}) AS cells ${rest}) LIMIT -1 OFFSET 0))`
  }

/** How many rows of a table are walked through at once. */
const rowsAtOnce = 5000

/** The SQL of SQLite, as libsql runs it. */
export const dialect: Dialect = {
  select: rowsWithin(maxAnswerBytes, false),
  selectPage: rowsWithin(pageBytes, true),
  whole: (column) => naming(column, (name) => `CASE WHEN ${isNotWhole(name)} THEN ${marked(name)} ELSE ${name} END`),
  flag: (column, made) => sql`CASE WHEN ${naming(column, isFlag)} THEN ${made} ELSE ${naming(column, marked)} END`,
  isMalformed,
  // The transaction has the lock on the whole database already.
  lock: undefined,
  async updateRows(db, { table, keys, given, rows, set, where }) {
    if (rows.length === 0) return []
    const values = join(rows.map((row) => sql`(${join(row)})`))
    const same = raw(keys.map((key) => `${table}.${key} = given.${key}`).join(' AND '))
    await db.execute(sql`WITH given (${raw(given.join())}) AS (VALUES ${values})
      UPDATE ${raw(table)} SET ${set} FROM given WHERE ${same} AND ${where}`)
    // The file has one lock alone.
    return []
  },
  // Text with a space or a T, with or without an offset or fraction; or milliseconds since 1970 as an integer.
  toRfc3339: (column) => naming(column, instantOrMark),
  comparableTime: (column) =>
    naming(
      column,
      (name) =>
        `CASE typeof(${name}) WHEN 'integer' THEN ${name} ELSE CAST(round(unixepoch(${name}, 'subsec') * 1000) AS INTEGER) END`,
    ),
  now: sql`strftime('%Y-%m-%d %H:%M:%f', 'now')`,
  nowPlus: (milliseconds) => sql`strftime('%Y-%m-%d %H:%M:%f', 'now', ${`+${milliseconds / 1000} seconds`})`,
  role: sql`NULL`,
  mayUpdate: () => sql`1 = 1`,
  timeLiteral: (instant) => sql`${Date.parse(instant)}`,
  // An application may have given its column another collation.
  binaryOrder: (column) => sql`${column}${raw(byBytes)}`,
  // The key of a table is one, or its own.
  isIndexedByBytes: () => sql`(1 = 1)`,
  equals: (column, text) => sql`${column} = ${text}`,
  // After the last character that there is, nothing begins so any more.
  startsWith: (column, prefix) =>
    sql`(${dialect.binaryOrder(column)} >= ${prefix} AND ${dialect.binaryOrder(column)} < ${prefix} || char(1114111))`,
  isAfter,
  nothing: sql`NULL`,
  asText: (column) =>
    naming(
      column,
      (name) =>
        `CASE WHEN typeof(${name}) = 'blob' OR octet_length(${name}) > ${maxTextBytes} THEN ${marked(name)} ELSE CAST(${name} AS TEXT) END`,
    ),
  equalsInAnyCase: (column, text) => sql`lower(${column}) = lower(${text})`,
  contains: (column, text) => sql`instr(lower(${column}), lower(${text})) > 0`,
  jsonRows: (columns, from) =>
    // Added to a text, it is one: JSON inside JSON would be an array.
    sql`(SELECT json_group_array(json_array(${join(columns.map(guarded))})) || '' FROM ${from})`,
  rowsAtOnce,
  parts,
  pages,
}

const byBytes = ' COLLATE BINARY'

/** Two columns of one table. */
const columnsOfOne = /^(\w+)\.\w+ \1\.\w+$/

function isAfter([key, id]: readonly [Sql, Sql], [lastKey, lastId]: readonly [Sql, Sql]): Sql {
  // An index is used for columns alone, compared with values that are none and say how.
  const [column, idColumn] = [withoutOrder(key), withoutOrder(id)]
  const pair = sql`(${column}, ${idColumn}) > (+${lastKey}${raw(byBytes)}, +${lastId}${raw(byBytes)})`
  // An index on both would not be used for both where there is another condition on the first.
  return columnsOfOne.test(`${column.sql} ${idColumn.sql}`) ? pair : sql`${key} >= ${lastKey} AND ${pair}`
}

const withoutOrder = (value: Sql) => (value.sql.endsWith(byBytes) ? raw(value.sql.slice(0, -byBytes.length)) : value)

async function* parts(db: Statements, table: string): AsyncGenerator<Sql> {
  // The rows of another program's table may have no numbers, and those of a view have none.
  const isNumbered = sql`t.name = ${table} COLLATE NOCASE AND t.type = 'table' AND NOT t.wr`
  if (!(await db.some(sql`FROM pragma_table_list t WHERE ${isNumbered}`))) return yield raw(table)
  for (let later = empty; ; ) {
    await turn()
    const [row] = await db.query<{ last: number | null }>(
      { last: sql`max(n)` },
      sql`FROM (SELECT rowid AS n FROM ${raw(table)} WHERE 1 = 1 ${later} ORDER BY rowid LIMIT ${rowsAtOnce})`,
    )
    const last = row?.last ?? null
    if (last === null) return
    // By an index, more than these would be looked at.
    yield sql`(SELECT * FROM ${raw(table)} NOT INDEXED WHERE rowid <= ${last} ${later})`
    later = sql`AND rowid > ${last}`
  }
}

async function* pages<Row extends object>(
  db: Statements,
  { columns, from, columnsFrom, where, order, limit, id }: Listing<Row>,
  most: number,
): AsyncGenerator<(Row & Damageable)[]> {
  // SQLite has no cursor to hold across statements: the order goes into a table of the connection's own.
  // Where nothing may be changed, SQLite would refuse this table too.
  const readOnly = await db.some(sql`FROM pragma_query_only p WHERE p.query_only`)
  await db.execute(sql`PRAGMA query_only = OFF`)
  await db.execute(sql`DROP TABLE IF EXISTS temp.listing`)
  await db.execute(sql`CREATE TEMP TABLE listing (id TEXT NOT NULL)`)
  await db.execute(sql`INSERT INTO temp.listing SELECT ${id} FROM ${from} WHERE ${where} ORDER BY ${order} ${limit}`)
  if (readOnly) await db.execute(sql`PRAGMA query_only = ON`)
  for (let seen = 0, size = Math.min(most, firstRows); ; ) {
    const part = sql`temp.listing.rowid > ${seen} AND temp.listing.rowid <= ${seen + size}`
    const page = await db.queryPage<Row>(
      columns,
      sql`FROM temp.listing CROSS JOIN ${columnsFrom(sql`SELECT id FROM temp.listing WHERE ${part}`)}
        WHERE ${id} = temp.listing.id AND ${part} ORDER BY temp.listing.rowid`,
    )
    if (page.rows.length > 0) yield page.rows
    if (page.after === 0 && page.rows.length < size) return
    seen += page.rows.length
    size = nextRows(page, most)
  }
}
