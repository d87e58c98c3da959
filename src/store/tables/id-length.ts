import sql, { join, raw, type Sql } from 'sql-template-tag'
import { rowsPerPage } from '../database/cells.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** An id is not shortened to less. */
export const shortestShown = 8

/** The ids before and after one in the order of bytes, null where there are none. */
interface Neighbours {
  readonly id: string
  readonly before: string | null
  readonly after: string | null
  readonly indexed: boolean | number | bigint
}

/**
 * How many characters of an id name each of some rows alone in their table, 8 at least. The neighbours of an id in the
 * order of bytes tell, which an index finds; where there is none, all that begin with the same characters do.
 *
 * @param table as in `integrations`
 */
export async function idLength(
  db: Statements,
  dialect: Dialect,
  {
    table,
    ids,
  }: { readonly table: 'integrations' | 'workspaces' | 'users' | 'integration_apps'; readonly ids: readonly string[] },
): Promise<number> {
  let length = shortestShown
  for (let i = 0; i < ids.length; i += rowsPerPage)
    length = Math.max(length, await lengthOfSome(db, dialect, { table, ids: ids.slice(i, i + rowsPerPage) }))
  return length
}

async function lengthOfSome(
  db: Statements,
  { asText, binaryOrder, isIndexedByBytes }: Dialect,
  { table, ids }: { readonly table: string; readonly ids: readonly string[] },
): Promise<number> {
  const indexed = isIndexedByBytes(table, 'id')
  const from = raw(table)
  const order = binaryOrder(sql`o.id`)
  const next = (direction: Sql, comes: Sql) =>
    sql`CASE WHEN ${indexed} THEN (SELECT ${asText(sql`o.id`)} FROM ${from} o WHERE ${order} ${comes} ${binaryOrder(sql`t.id`)} ORDER BY ${order} ${direction} LIMIT 1) END`
  const rows = await db.queryAll<Neighbours>(
    { id: sql`t.id`, before: next(sql`DESC`, sql`<`), after: next(sql`ASC`, sql`>`), indexed },
    sql`FROM ${from} t WHERE t.id IN (${join(ids)})`,
  )
  const alike = rows[0]?.indexed ? [] : await beginningAlike(db, { from, ids })
  return Math.max(
    ...rows.flatMap(({ id, before, after }) => [told(id, before), told(id, after)]),
    ...alike.map((id, i) => told(id, alike[i + 1] ?? null)),
  )
}

/** Every id that has its first characters in common with one of some ids, these included, in the order of characters. */
async function beginningAlike(db: Statements, { from, ids }: { readonly from: Sql; readonly ids: readonly string[] }) {
  const beginnings = [...new Set(ids.map((id) => [...id].slice(0, shortestShown).join('')))]
  const rows = await db.queryAll<{ id: string }>(
    { id: sql`t.id` },
    sql`FROM ${from} t WHERE substr(t.id, 1, ${shortestShown}) IN (${join(beginnings)})`,
  )
  return rows.map(({ id }) => id).sort()
}

/** How many characters tell an id from another one. An id that the other begins with is named by all of it. */
function told(id: string, other: string | null): number {
  if (other === null) return 0
  const [characters, others] = [[...id], [...other]]
  const shared = characters.findIndex((character, i) => character !== others[i])
  return shared === -1 ? characters.length : shared + 1
}
