import sql, { empty, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'
import type { Workspace } from '../../integration.ts'

import { type WrittenColumns, wholeRow } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import { insertRow } from '../database/insert.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'
import { all, type ListReader, listReader, type Source } from './page.ts'
import type { workspaceSorts } from './sorts.ts'

/** Which workspaces to list. */
export interface WorkspaceFilter {
  /** A literal part of the name, ASCII case ignored. */
  readonly nameContains?: string
}

type Row = Omit<Workspace, 'integrations'> & { integrations: bigint | number }

/** What can be read of workspaces. */
export interface WorkspaceReader extends ListReader<WorkspaceFilter, Workspace> {
  /** The workspaces with an id, with a name, or with an id that begins so; at most `limit`. */
  match(
    match: { readonly by: 'id' | 'name' | 'nameInAnyCase' | 'idPrefix'; readonly value: string },
    limit: number,
  ): Promise<Workspace[]>
}

/** What can be changed of workspaces. */
export interface WorkspaceWriter {
  insert(id: string, name: string, now: Date): Promise<void>
  rename(id: string, name: string, now: Date): Promise<void>
  /** Deletes a workspace and every integration in it. */
  remove(id: string): Promise<void>
}

/** Reads workspaces. */
export function workspaceReader(db: Statements, dialect: Dialect): WorkspaceReader {
  const source = workspaceSource(dialect)
  const condition = ({ nameContains }: WorkspaceFilter) =>
    all(nameContains === undefined ? [] : [dialect.contains(sql`w.name`, nameContains)])
  return {
    ...listReader({ db, dialect, source, condition, toRow: toWorkspace }),
    async match({ by, value }, limit) {
      const where = {
        id: () => sql`w.id = ${value}`,
        name: () => dialect.equals(sql`w.name`, value),
        nameInAnyCase: () => dialect.equalsInAnyCase(sql`w.name`, value),
        idPrefix: () => dialect.startsWith(sql`w.id`, value),
      }[by]()
      const from = counted(sql`SELECT w.id FROM ${source.from} WHERE ${where}`)
      const rows = await db.queryAll(
        source.columns,
        sql`FROM ${from} WHERE ${where} ORDER BY ${dialect.binaryOrder(sql`w.id`)} LIMIT ${limit}`,
      )
      return rows.map(toWorkspace)
    },
  }
}

/** Changes workspaces, within a transaction. */
export const workspaceWriter = (tx: WritableStatements, written: WrittenColumns): WorkspaceWriter => ({
  async insert(id, name, now) {
    await insertRow(tx, 'workspaces', { id, name, createdAt: now, updatedAt: now })
    written.add('workspace', id, wholeRow)
  },
  async rename(id, name, now) {
    await tx.execute(sql`UPDATE workspaces SET name = ${name}, updated_at = ${now} WHERE id = ${id}`)
    written.add('workspace', id, 'name')
  },
  async remove(id) {
    await tx.execute(sql`DELETE FROM workspaces WHERE id = ${id}`)
  },
})

const toWorkspace = (row: Row & Damageable): Workspace => ({
  ...row,
  integrations: Number(row.integrations),
})

/** Workspaces with how many integrations they have, counted in one pass: all of them, or those whose ids a query gives. */
const counted = (ids?: Sql): Sql =>
  sql`workspaces w LEFT JOIN (SELECT i.workspace_id, count(*) AS count FROM integrations i
    ${ids ? sql`WHERE i.workspace_id IN (${ids})` : empty} GROUP BY i.workspace_id) n ON n.workspace_id = w.id`

function workspaceSource({ toRfc3339, comparableTime, binaryOrder }: Dialect): Source<Row> {
  const integrations = sql`coalesce(n.count, 0)`
  return {
    columns: { id: sql`w.id`, name: sql`w.name`, integrations, createdAt: toRfc3339(sql`w.created_at`) },
    from: sql`workspaces w`,
    keyFrom: { integrations: counted() },
    columnsFrom: counted,
    id: sql`w.id`,
    table: 'workspaces',
    keys: {
      name: binaryOrder(sql`w.name`),
      integrations,
      createdAt: comparableTime(sql`w.created_at`),
      id: binaryOrder(sql`w.id`),
    } satisfies Record<(typeof workspaceSorts)[number], Sql>,
  }
}
