/** Which rows a page begins with and ends at, by the keys that order them. @module */
import sql, { join, type Sql } from 'sql-template-tag'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** What a kind of rows can be sorted by. */
export interface Keyed {
  /** The table, and what filters and keys need beside it. */
  readonly from: Sql
  /** The same for the keys that need more, by field. */
  readonly keyFrom?: { readonly [field: string]: Sql }
  readonly id: Sql
  /** What orders by the id, where that is not the bytes of its text. */
  readonly idKey?: Sql
  /** One value per sortable field, that orders as the field should. */
  readonly keys: { readonly [field: string]: Sql }
  /** The fields whose rows are those of another table's rows, by field. */
  readonly grouped?: { readonly [field: string]: Grouping }
}

/** Rows that are ordered by another table's rows, and within each by keys of their own. An index has to lead to each of them. */
export interface Grouping {
  /** The other table, and then its rows. */
  readonly from: Sql
  /** Which rows are those of a row of the other table, in `from`. */
  readonly belongs: Sql
  /** The id of the other table's row, in the rows' own table. */
  readonly owner: Sql
  /** The id of the other table's row, in the order of bytes; the key of the field comes before it. */
  readonly ownerKey: Sql
  /** What orders the rows of one row of the other table. */
  readonly within: readonly [Sql, Sql]
}

/** An order of rows. */
interface Ordering {
  readonly dialect: Pick<Dialect, 'binaryOrder' | 'isAfter'>
  readonly source: Keyed
  readonly page: { readonly sort: string; readonly descending: boolean }
}

/** Rows in an order. */
interface Ordered extends Ordering {
  readonly filter: Sql
}

/** The row that a page begins after. */
export interface Boundary {
  readonly id: string
  /** Whether the row has a value to order by. */
  readonly hasKey: boolean
}

/** What rows are ordered by, where that is read from, and the clause: nulls last in both directions, ids break ties. */
export function orderOf({ dialect, source, page: { sort, descending } }: Ordering) {
  const key = source.keys[sort]
  if (key === undefined) throw new Error(`no sort key for ${sort}`)
  const id = source.idKey ?? dialect.binaryOrder(source.id)
  const direction = descending ? sql`DESC` : sql`ASC`
  const grouping = source.grouped?.[sort]
  const ties = grouping ? join([grouping.ownerKey, ...grouping.within]) : id
  const order = sql`${key} ${direction} NULLS LAST, ${ties}`
  return { key, id, direction, ties, order, grouping, from: source.keyFrom?.[sort] ?? source.from }
}

/** Finds the row that a page begins after; undefined where the row is gone. */
export async function boundaryAt(db: Statements, ordering: Ordering, id: string): Promise<Boundary | undefined> {
  const { key, from } = orderOf(ordering)
  const [row] = await db.query<{ hasKey: boolean | number | bigint }>(
    { hasKey: sql`(${key} IS NOT NULL)` },
    sql`FROM ${from} WHERE ${ordering.source.id} = ${id}`,
  )
  return row && { id, hasKey: Boolean(row.hasKey) }
}

/** Some of the rows that follow a boundary, by conditions that an index can seek. */
interface PartOfRows {
  readonly from: Sql
  readonly where: Sql
  readonly order: Sql
}

/**
 * The rows that have a key, and those that have none: together, all that follow a boundary. The boundary is read in SQL: a
 * value that had passed through JavaScript would have lost the microseconds that tell rows apart.
 */
function* partsOf(ordered: Ordered, after: Boundary | undefined): Generator<PartOfRows> {
  const { dialect, filter, page } = ordered
  const { key, id, direction, ties, from, grouping } = orderOf(ordered)
  if (grouping) return yield* groupedPartsOf(ordered, grouping, after)
  const withKey = (where: Sql) => ({
    from,
    where: sql`${filter} AND ${key} IS NOT NULL AND ${where}`,
    order: sql`${key} ${direction}, ${ties}`,
  })
  const withNone = (where: Sql) => ({ from, where: sql`${filter} AND ${key} IS NULL AND ${where}`, order: id })
  if (!after) {
    yield withKey(always)
    return yield withNone(always)
  }
  const last = lastOf(ordered, after)
  if (!after.hasKey) return yield withNone(sql`${id} > ${last(id)}`)
  yield withKey(page.descending ? precedes(key, id, last) : dialect.isAfter([key, id], [last(key), last(id)]))
  // Were the row gone by now, or its key, these would seem to be all that follow.
  yield withNone(sql`${last(key)} IS NOT NULL`)
}

/** The same for rows that are ordered by another table's rows: what is left of the last of these, the others, and what belongs to none. */
function* groupedPartsOf(
  ordered: Ordered,
  { from, belongs, owner, ownerKey, within }: Grouping,
  after: Boundary | undefined,
): Generator<PartOfRows> {
  const { dialect, source, filter, page } = ordered
  const { key, direction, ties } = orderOf(ordered)
  const withOwner = (where: Sql) => ({
    from,
    where: sql`${filter} AND ${belongs} AND ${key} IS NOT NULL AND ${where}`,
    order: sql`${key} ${direction}, ${ties}`,
  })
  const ofOne = (where: Sql) => ({ from: source.from, where: sql`${filter} AND ${where}`, order: join(within) })
  if (!after) {
    yield withOwner(always)
    return yield ofOne(sql`${key} IS NULL`)
  }
  const last = lastOf(ordered, after)
  const isLater = dialect.isAfter(within, [last(within[0]), last(within[1])])
  if (!after.hasKey) return yield ofOne(sql`${key} IS NULL AND ${isLater}`)
  yield ofOne(sql`${owner} = ${last(owner)} AND ${isLater}`)
  yield withOwner(
    page.descending ? precedes(key, ownerKey, last) : dialect.isAfter([key, ownerKey], [last(key), last(ownerKey)]),
  )
  yield ofOne(sql`${key} IS NULL AND ${last(key)} IS NOT NULL`)
}

const always = sql`1 = 1`

/** Reads a value of the row that a page begins after. */
const lastOf = (ordered: Ordered, { id }: Boundary) => {
  const last = sql`FROM ${orderOf(ordered).from} WHERE ${ordered.source.id} = ${id}`
  return (value: Sql) => sql`(SELECT ${value} ${last})`
}

/** The condition of what follows a row where a key descends, and what breaks its ties does not. */
const precedes = (key: Sql, tie: Sql, last: (value: Sql) => Sql) =>
  sql`${key} <= ${last(key)} AND (${key} < ${last(key)} OR ${tie} > ${last(tie)})`

/** The condition of the rows that follow a boundary. */
export const follows = (ordered: Ordered, after: Boundary): Sql =>
  sql`(${join(
    [...partsOf(ordered, after)].map(({ where }) => sql`(${where})`),
    ' OR ',
  )})`

/** A query for the ids of the first rows that follow a boundary, at most `limit`. A part is read where those before were too short. */
export function firstIds(ordered: Ordered, after: Boundary | undefined, limit: number): Sql {
  const parts = [...partsOf(ordered, after)].map(
    ({ from, where, order }) =>
      sql`SELECT id FROM (SELECT ${ordered.source.id} AS id FROM ${from} WHERE ${where} ORDER BY ${order} LIMIT ${limit}) part`,
  )
  return sql`${join(parts, ' UNION ALL ')} LIMIT ${limit}`
}
