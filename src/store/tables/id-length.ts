import sql, { join, raw, type Sql } from 'sql-template-tag'
import { rowsPerPage } from '../database/cells.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** An id is not shortened to less. */
export const shortestShown = 8

/** How many ids that begin alike are compared where no index finds the neighbours of one. */
const maxAlike = 2000

/** What names a row before the beginning of an id does. */
const nameColumns = { integrations: 'name', workspaces: 'name', users: 'email', integration_apps: 'name' } as const

/** Some rows, by their ids. */
interface Rows {
  readonly table: keyof typeof nameColumns
  readonly ids: readonly string[]
}

/** The ids before and after one in the order of bytes, null where there are none. */
interface Neighbours {
  readonly id: string
  readonly before: string | null
  readonly after: string | null
  readonly indexed: boolean | number | bigint
}

/**
 * How many characters of an id name each of some rows alone in their table, 8 at least. The neighbours of an id in the
 * order of bytes tell, which an index finds; where there is none, all that begin with the same characters do, or ids are
 * shown whole where these are too many. A beginning that is the name of a row names that row.
 */
export async function idLength(db: Statements, dialect: Dialect, { table, ids }: Rows): Promise<number> {
  let length = shortestShown
  const isName = async () => {
    for (const some of inPages(ids.filter((id) => lengthOf(id) > length)))
      if (await isNameOfAny(db, dialect, { table, beginnings: beginningsOf(some, length) })) return true
    return false
  }
  for (const some of inPages(ids)) length = Math.max(length, await lengthOfSome(db, dialect, { table, ids: some }))
  while (await isName()) length++
  return length
}

function* inPages(ids: readonly string[]): Generator<readonly string[]> {
  for (let i = 0; i < ids.length; i += rowsPerPage) yield ids.slice(i, i + rowsPerPage)
}

const lengthOf = (id: string) => [...id].length

const beginningsOf = (ids: readonly string[], length: number) => [
  ...new Set(ids.map((id) => [...id].slice(0, length).join(''))),
]

const isNameOfAny = (
  db: Statements,
  { binaryOrder }: Dialect,
  { table, beginnings }: { readonly table: Rows['table']; readonly beginnings: readonly string[] },
) => db.some(sql`FROM ${raw(table)} n WHERE ${binaryOrder(raw(`n.${nameColumns[table]}`))} IN (${join(beginnings)})`)

async function lengthOfSome(
  db: Statements,
  { asText, binaryOrder, isIndexedByBytes }: Dialect,
  { table, ids }: Rows,
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
  const [first] = rows
  if (!first) return 0
  if (first.indexed) return Math.max(...rows.flatMap(({ id, before, after }) => [told(id, before), told(id, after)]))
  const alike = await beginningAlike(db, { from, ids })
  return Math.max(...(alike?.map((id, i) => told(id, alike[i + 1] ?? null)) ?? ids.map(lengthOf)))
}

/**
 * Every id that has its first characters in common with one of some ids, these included, in the order of characters;
 * undefined where these are too many.
 */
async function beginningAlike(db: Statements, { from, ids }: { readonly from: Sql; readonly ids: readonly string[] }) {
  const rows = await db.queryAll<{ id: string }>(
    { id: sql`t.id` },
    sql`FROM ${from} t WHERE substr(t.id, 1, ${shortestShown}) IN (${join(beginningsOf(ids, shortestShown))}) LIMIT ${maxAlike + 1}`,
  )
  return rows.length > maxAlike ? undefined : rows.map(({ id }) => id).sort()
}

/** How many characters tell an id from another one. An id that the other begins with is named by all of it. */
function told(id: string, other: string | null): number {
  if (other === null) return 0
  const [characters, others] = [[...id], [...other]]
  const shared = characters.findIndex((character, i) => character !== others[i])
  return shared === -1 ? characters.length : shared + 1
}
