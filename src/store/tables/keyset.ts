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
  const order = sql`${key} ${direction} NULLS LAST, ${id}`
  return { key, id, direction, order, from: source.keyFrom?.[sort] ?? source.from }
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

/**
 * The conditions of the rows that have a key, and of those that have none: together, all that follow a boundary. The
 * boundary is read in SQL: a value that had passed through JavaScript would have lost the microseconds that tell rows
 * apart. Each condition is one that an index can seek.
 */
function* partsOf(ordered: Ordered, after: Boundary | undefined): Generator<{ isNull: boolean; where: Sql }> {
  const { dialect, source, filter, page } = ordered
  const { key, id, from } = orderOf(ordered)
  const hasKey = sql`${filter} AND ${key} IS NOT NULL`
  const hasNone = sql`${filter} AND ${key} IS NULL`
  if (!after) {
    yield { isNull: false, where: hasKey }
    return yield { isNull: true, where: hasNone }
  }
  const last = sql`FROM ${from} WHERE ${source.id} = ${after.id}`
  const [lastKey, lastId] = [sql`(SELECT ${key} ${last})`, sql`(SELECT ${id} ${last})`]
  if (!after.hasKey) return yield { isNull: true, where: sql`${hasNone} AND ${id} > ${lastId}` }
  const isAfter = page.descending
    ? sql`${key} <= ${lastKey} AND (${key} < ${lastKey} OR ${id} > ${lastId})`
    : dialect.isAfter([key, id], [lastKey, lastId])
  yield { isNull: false, where: sql`${hasKey} AND ${isAfter}` }
  // Were the row gone by now, or its key, these would seem to be all that follow.
  yield { isNull: true, where: sql`${hasNone} AND ${lastKey} IS NOT NULL` }
}

/** The condition of the rows that follow a boundary. */
export const follows = (ordered: Ordered, after: Boundary): Sql =>
  sql`(${join(
    [...partsOf(ordered, after)].map(({ where }) => sql`(${where})`),
    ' OR ',
  )})`

/** A query for the ids of the first rows that follow a boundary, at most `limit`. The second part is read where the first was too short. */
export function firstIds(ordered: Ordered, after: Boundary | undefined, limit: number): Sql {
  const { key, id, direction, from } = orderOf(ordered)
  const parts = [...partsOf(ordered, after)].map(({ isNull, where }) => {
    const order = isNull ? id : sql`${key} ${direction}, ${id}`
    return sql`SELECT id FROM (SELECT ${ordered.source.id} AS id FROM ${from} WHERE ${where} ORDER BY ${order} LIMIT ${limit}) part`
  })
  return sql`${join(parts, ' UNION ALL ')} LIMIT ${limit}`
}
