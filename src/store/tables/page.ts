import sql, { empty, join, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'
import { conflict, notFound } from '../../errors.ts'
import { rowsPerPage } from '../database/cells.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns, Statements } from '../database/statements.ts'
import { idLength, shortestShown } from './id-length.ts'
import { type Boundary, boundaryAt, firstIds, follows, type Keyed, orderOf } from './keyset.ts'

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
export interface Source<Row> extends Keyed {
  readonly columns: Columns<Row>
  /** What columns and keys are read from, of all rows or of those whose ids a query gives; absent: `from`. */
  readonly columnsFrom?: (ids?: Sql) => Sql
  /** The field of a row that holds the id, where that is not "id". */
  readonly idField?: string
  /** The table whose ids tables show shortened; absent: none. */
  readonly table?: 'integrations' | 'workspaces' | 'users'
}

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
  /** How many characters of an id name each of some rows alone; undefined where ids are shown whole. */
  idLength(ids: readonly string[]): Promise<number | undefined>
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
    if (!page) return countOf(from.db, sql`${from.source.from} WHERE ${listing.filter}`)
    const after = await boundaryOf({ ...listing, page })
    return countOf(from.db, sql`${orderOf({ ...from, page }).from} WHERE ${following({ ...listing, page }, after)}`)
  },
  async idLength(ids) {
    const { db, dialect, source } = from
    return source.table && idLength(db, dialect, { table: source.table, ids })
  },
})

/**
 * Reads the rows of a page in order, in batches: a limited page from one statement, everything from one snapshot. Nulls
 * come last in both directions and the id breaks ties.
 *
 * @throws NOT_FOUND when the row of the cursor is gone, and `RowsTooLong` for a page of few rows that is not read in pages
 */
async function* readPage<Row extends object>(listing: Listing<Row>): AsyncGenerator<(Row & Damageable)[]> {
  const { db, dialect, source, page } = listing
  const after = await boundaryOf(listing)
  if (page.inPages || page.limit === undefined || page.limit > oneStatementRows) {
    if (db.single) return yield* readApart(listing, after)
    const { columns, id, columnsFrom = () => source.from } = source
    const { order, from } = orderOf(listing)
    const limit = page.limit === undefined ? empty : sql`LIMIT ${page.limit}`
    const where = following(listing, after)
    yield* dialect.pages<Row>(db, { columns, from, columnsFrom, where, order, limit, id }, rowsPerPage)
  } else yield await db.queryAll<Row>(source.columns, firstRowsOf(listing, after, page.limit))
}

/** Reads the rows of a long page by statements that each begin after the last row of the one before, where none sees the same moment. */
async function* readApart<Row extends object>(
  listing: Listing<Row>,
  begin: Boundary | undefined,
): AsyncGenerator<(Row & Damageable)[]> {
  const { db, source, page } = listing
  const idField = source.idField ?? 'id'
  const gone = () =>
    conflict(
      'a row that the list had come to was removed or changed meanwhile',
      'try again; without a pooler in statement mode, a list shows one moment',
    )
  let left = page.limit ?? Number.POSITIVE_INFINITY
  for (let last = begin; left > 0; ) {
    const most = Math.min(rowsPerPage, left)
    const { rows, after } = await db.queryPage<Row>(source.columns, firstRowsOf(listing, last, most))
    if (rows.length > 0) yield rows
    // After a row that is gone, or has no key any more, there is nothing, either.
    else if (last) {
      const now = await boundaryAt(db, listing, last.id)
      if (!now || (last.hasKey && !now.hasKey)) throw gone()
    }
    left -= rows.length
    if (left === 0 || (after === 0 && rows.length < most)) return
    last = await boundaryAt(
      db,
      listing,
      String(Object.entries(rows.at(-1) ?? {}).find(([name]) => name === idField)?.[1]),
    )
    if (!last) throw gone()
  }
}

/** What follows the columns of a query for the first rows that follow a boundary: these alone are joined and computed. */
function firstRowsOf<Row>(listing: Listing<Row>, after: Boundary | undefined, limit: number): Sql {
  const { source } = listing
  const ids = firstIds(listing, after, limit)
  const from = source.columnsFrom?.(ids) ?? source.from
  return sql`FROM (${ids}) page CROSS JOIN ${from} WHERE ${source.id} = page.id ORDER BY ${orderOf(listing).order}`
}

/** The row that a page begins after; undefined for a page that begins with the first row. @throws NOT_FOUND when it is gone */
async function boundaryOf<Row>(listing: Listing<Row>): Promise<Boundary | undefined> {
  const { cursor } = listing.page
  if (cursor === undefined) return undefined
  const boundary = (await boundaryAt(listing.db, listing, cursor)) ?? (await boundaryBeginning(listing, cursor))
  if (!boundary) throw notFound('the row that --cursor names is not there any more', 'start again without --cursor')
  return boundary
}

/** The same for the beginning of an id, as tables show it; undefined where none or several begin so. */
async function boundaryBeginning<Row>(listing: Listing<Row>, beginning: string): Promise<Boundary | undefined> {
  const { db, dialect, source } = listing
  if (!source.table || [...beginning].length < shortestShown) return undefined
  const [one, other] = await db.queryAll<{ id: string }>(
    { id: source.id },
    sql`FROM ${source.from} WHERE ${dialect.startsWith(source.id, beginning)} LIMIT 2`,
  )
  return one && !other ? boundaryAt(db, listing, one.id) : undefined
}

/** The condition of all rows of a listing that follow a boundary. */
const following = <Row>(listing: Listing<Row>, after: Boundary | undefined): Sql =>
  after ? follows(listing, after) : listing.filter

/** Conditions that all hold; none: every row. */
export const all = (conditions: readonly Sql[]): Sql =>
  conditions.length === 0 ? sql`1 = 1` : join(conditions, ' AND ')

/** How many rows there are, of what follows FROM. */
export async function countOf(db: Statements, from: Sql): Promise<number> {
  const [row] = await db.query<{ n: number | bigint }>({ n: sql`count(*)` }, sql`FROM ${from}`)
  return Number(row?.n ?? 0)
}
