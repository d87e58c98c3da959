import sql, { empty, join, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'
import { conflict, notFound } from '../../errors.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns, Statements } from '../database/statements.ts'

/** Which part of a listing to read, in which order. */
export interface Page<Field extends string = string> {
  readonly sort: Field
  readonly descending: boolean
  /** Absent: every row. */
  readonly limit?: number | undefined
  /** The id of the last row seen. */
  readonly cursor?: string | undefined
  /** The rows may be too long to be read at once: they are read in pages, inside a transaction. */
  readonly inPages?: boolean
}

/** What a kind of rows can be listed from and sorted by. Columns are qualified with their table's alias. */
export interface Source<Row> {
  readonly columns: Columns<Row>
  readonly from: Sql
  readonly id: Sql
  /** The field of a row that holds the id, where that is not "id". */
  readonly idField?: string
  /** What orders by the id, where that is not the bytes of its text. */
  readonly idKey?: Sql
  /** One value per sortable field, that orders as the field should. */
  readonly keys: { readonly [field: string]: Sql }
}

/** How many rows of a long listing are held at a time. */
const rowsAtOnce = 500

/** A page of no more rows than these is one statement; a longer one needs a transaction to read it in. */
const oneStatementRows = 1000

/** Which rows to read, and where. */
interface Listing<Row> {
  readonly db: Statements
  readonly dialect: Dialect
  readonly source: Source<Row>
  readonly filter: Sql
  readonly page: Page
}

/** What can be read of rows that are listed. */
export interface ListReader<Filter, Row> {
  /** The rows of a page, in order; those included that have cells that cannot be read. */
  list(filter: Filter, page: Page): AsyncIterable<(Row & Damageable)[]>
  /** How many rows a filter leaves, from where the page begins; without a page, all of them. */
  count(filter: Filter, page?: Page): Promise<number>
}

/** Lists the rows of a source: `condition` is that of a filter, and `toRow` makes a row of what was selected. */
export const listReader = <Filter, Selected extends object, Row>({
  condition,
  toRow,
  ...from
}: Pick<Listing<Selected>, 'db' | 'dialect' | 'source'> & {
  readonly condition: (filter: Filter) => Sql
  readonly toRow: (row: Selected & Damageable) => Row & Damageable
}): ListReader<Filter, Row> => ({
  async *list(filter, page) {
    for await (const rows of readPage<Selected>({ ...from, filter: condition(filter), page })) yield rows.map(toRow)
  },
  async count(filter, page) {
    const listing = { ...from, filter: condition(filter) }
    const { from: rows, where } = page
      ? await bounded({ ...listing, page })
      : { from: from.source.from, where: listing.filter }
    return countOf(from.db, sql`${rows} WHERE ${where}`)
  },
})

/**
 * Reads the rows of a page in order, in batches: a limited page from one statement, everything from one snapshot. Nulls
 * come last in both directions and the id breaks ties. The boundary is read in SQL: a value that had passed through
 * JavaScript would have lost the microseconds that tell rows apart.
 *
 * @throws NOT_FOUND when the row of the cursor is gone, and `RowsTooLong` for a page of few rows that is not read in pages
 */
async function* readPage<Row extends object>(listing: Listing<Row>): AsyncGenerator<(Row & Damageable)[]> {
  const { db, dialect, source, page } = listing
  const { order, from, where } = await bounded(listing)
  const { columns, id } = source
  if (page.inPages || page.limit === undefined || page.limit > oneStatementRows) {
    if (db.single) return yield* readApart(listing)
    const limit = page.limit === undefined ? empty : sql`LIMIT ${page.limit}`
    yield* dialect.pages<Row>(db, { columns, from, where, order, limit, id }, rowsAtOnce)
  } else yield await db.queryAll<Row>(columns, sql`FROM ${from} WHERE ${where} ORDER BY ${order} LIMIT ${page.limit}`)
}

/** Reads the rows of a long page by statements that each begin after the last row of the one before, where none sees the same moment. */
async function* readApart<Row extends object>(listing: Listing<Row>): AsyncGenerator<(Row & Damageable)[]> {
  const { db, source, page } = listing
  const idField = source.idField ?? 'id'
  let left = page.limit ?? Number.POSITIVE_INFINITY
  let cursor = page.cursor
  while (left > 0) {
    const most = Math.min(rowsAtOnce, left)
    const { order, from, where } = boundedAt(listing, cursor)
    const { rows, after } = await db.queryPage<Row>(
      source.columns,
      sql`FROM ${from} WHERE ${where} ORDER BY ${order} LIMIT ${most}`,
    )
    if (rows.length > 0) yield rows
    // After a row that is gone there is nothing, either.
    else if (cursor !== undefined && !(await hasRow(db, source, cursor)))
      throw conflict(
        'a row that the list had come to was removed meanwhile',
        'try again; without a pooler in statement mode, a list shows one moment',
      )
    if (after === 0 && rows.length < most) return
    left -= rows.length
    cursor = String(Object.entries(rows.at(-1) ?? {}).find(([name]) => name === idField)?.[1])
  }
}

/** The part of a listing that begins after the page's cursor, and its order. */
async function bounded<Row>(listing: Listing<Row>): Promise<Bounded> {
  const { db, source, page } = listing
  if (page.cursor !== undefined && !(await hasRow(db, source, page.cursor)))
    throw notFound('the row that --cursor names is not there any more', 'start again without --cursor')
  return boundedAt(listing, page.cursor)
}

/** A part of a listing. */
interface Bounded {
  readonly order: Sql
  readonly from: Sql
  readonly where: Sql
}

function boundedAt<Row>({ dialect, source, filter, page }: Listing<Row>, cursor: string | undefined): Bounded {
  const key = source.keys[page.sort]
  if (key === undefined) throw new Error(`no sort key for ${page.sort}`)
  const id = source.idKey ?? dialect.binaryOrder(source.id)
  const order = sql`${key} ${page.descending ? sql`DESC` : sql`ASC`} NULLS LAST, ${id}`
  if (cursor === undefined) return { order, from: source.from, where: filter }
  const boundary = sql`(SELECT ${key} AS last_key, ${id} AS last_id FROM ${source.from} WHERE ${source.id} = ${cursor})`
  return {
    order,
    from: sql`${source.from} CROSS JOIN ${boundary} AS boundary`,
    where: sql`${filter} AND (
      (boundary.last_key IS NOT NULL AND (${key} ${page.descending ? sql`<` : sql`>`} boundary.last_key OR ${key} IS NULL))
      OR ((${key} = boundary.last_key OR (${key} IS NULL AND boundary.last_key IS NULL)) AND ${id} > boundary.last_id))`,
  }
}

/** Conditions that all hold; none: every row. */
export const all = (conditions: readonly Sql[]): Sql =>
  conditions.length === 0 ? sql`1 = 1` : join(conditions, ' AND ')

/** How many rows there are, of what follows FROM. */
export async function countOf(db: Statements, from: Sql): Promise<number> {
  const [row] = await db.query<{ n: number | bigint }>({ n: sql`count(*)` }, sql`FROM ${from}`)
  return Number(row?.n ?? 0)
}

const hasRow = (
  db: Statements,
  { from, id }: { readonly from: Sql; readonly id: Sql },
  value: string,
): Promise<boolean> => db.some(sql`FROM ${from} WHERE ${id} = ${value}`)
