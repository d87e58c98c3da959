import sql, { type Sql } from 'sql-template-tag'
import type { Workspace } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'
import { all, countRows, type Page, readPage, type Source } from './page.ts'
import type { workspaceSorts } from './sorts.ts'

/** Which workspaces to list. */
export interface WorkspaceFilter {
  /** A literal part of the name, ASCII case ignored. */
  readonly nameContains?: string
}

type Row = Omit<Workspace, 'integrations'> & { integrations: bigint | number }

/** The queries about workspaces. */
export function workspaceRows(db: Statements, dialect: Dialect) {
  const source = workspaceSource(dialect)
  const condition = ({ nameContains }: WorkspaceFilter) =>
    all(nameContains === undefined ? [] : [dialect.contains(sql`w.name`, nameContains)])

  return {
    /** Hands on the workspaces of a page, in order. */
    list: (filter: WorkspaceFilter, page: Page, onRows: (rows: Workspace[]) => Promise<void>): Promise<void> =>
      readPage<Row>(db, dialect, source, condition(filter), page, (rows) => onRows(rows.map(toWorkspace))),

    /** How many workspaces a filter leaves, from where the page begins. */
    count: (filter: WorkspaceFilter, page: Page): Promise<number> =>
      countRows(db, dialect, source, condition(filter), page),

    /** The workspaces with an id, or with a name; at most `limit`. */
    async match(match: { id: string } | { name: string }, limit: number): Promise<Workspace[]> {
      const where = 'id' in match ? sql`w.id = ${match.id}` : sql`w.name = ${match.name}`
      const rows = await db.query<Row>(
        sql`SELECT ${source.columns} FROM ${source.from} WHERE ${where} ORDER BY ${dialect.binaryOrder(sql`w.id`)} LIMIT ${limit}`,
      )
      return rows.map(toWorkspace)
    },
  }
}

/** What changes workspaces, within a transaction. */
export function workspaceChanges(tx: WritableStatements) {
  return {
    /** Inserts a workspace. */
    async insert(id: string, name: string, now: Date): Promise<void> {
      await tx.models.workspace.create({ data: { id, name, createdAt: now, updatedAt: now }, select: { id: true } })
    },

    /** Gives a workspace another name. */
    async rename(id: string, name: string, now: Date): Promise<void> {
      await tx.models.workspace.updateMany({ where: { id }, data: { name, updatedAt: now } })
    },

    /** Deletes a workspace and every integration in it. */
    async remove(id: string): Promise<void> {
      await tx.models.workspace.deleteMany({ where: { id } })
    },
  }
}

const toWorkspace = (row: Row): Workspace => ({ ...row, integrations: Number(row.integrations) })

function workspaceSource({ toRfc3339, comparableTime, binaryOrder }: Dialect): Source {
  const integrations = sql`(SELECT count(*) FROM integrations i WHERE i.workspace_id = w.id)`
  return {
    columns: sql`w.id, w.name, ${integrations} AS integrations, ${toRfc3339(sql`w.created_at`)} AS "createdAt"`,
    from: sql`workspaces w`,
    id: sql`w.id`,
    keys: {
      name: binaryOrder(sql`w.name`),
      integrations,
      createdAt: comparableTime(sql`w.created_at`),
      id: binaryOrder(sql`w.id`),
    } satisfies Record<(typeof workspaceSorts)[number], Sql>,
  }
}
