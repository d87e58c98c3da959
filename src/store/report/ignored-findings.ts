/** The findings that reports leave out until an instant. @module */
import sql from 'sql-template-tag'
import type { Instant, IntegrationId } from '../../brands.ts'
import { type WrittenColumns, wholeRow } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** A finding that reports leave out until an instant. */
export interface IgnoredFinding {
  readonly id: string
  /** Of the finding. */
  readonly code: string
  /** null: the code is ignored of every integration, and of the database. */
  readonly integrationId: IntegrationId | null
  /** Its name, and that of its workspace; those that it had, once it is removed. */
  readonly workspace: string | null
  readonly name: string | null
  readonly until: Instant
  readonly reason: string
  readonly ignoredAt: Instant
  readonly ignoredBy: string | null
}

/** What can be read of ignored findings. */
export interface IgnoredFindingReader {
  /** All of them, those included whose time is over; the first to end first. A row that cannot be read ignores nothing. */
  list(): Promise<IgnoredFinding[]>
}

/** What can be changed of ignored findings. */
export interface IgnoredFindingWriter {
  /** Inserts one, or changes the one with its id. */
  put(finding: IgnoredFinding): Promise<void>
  remove(id: string): Promise<void>
}

/** The fields that say what is ignored, and how long; the names are those of a row that may be damaged itself. */
const decisive: readonly string[] = ['id', 'code', 'integrationId', 'until'] satisfies (keyof IgnoredFinding)[]

/** Reads ignored findings. */
export const ignoredFindingReader = (
  db: Statements,
  { toRfc3339, comparableTime, binaryOrder }: Dialect,
): IgnoredFindingReader => ({
  async list() {
    const rows = await db.queryInPages<IgnoredFinding>(
      {
        id: sql`f.id`,
        code: sql`f.code`,
        integrationId: sql`f.integration_id`,
        workspace: sql`coalesce(w.name, f.workspace)`,
        name: sql`coalesce(i.name, f.name)`,
        until: toRfc3339(sql`f.until`),
        reason: sql`f.reason`,
        ignoredAt: toRfc3339(sql`f.ignored_at`),
        ignoredBy: sql`f.ignored_by`,
      },
      sql`FROM integration_findings f LEFT JOIN integrations i ON i.id = f.integration_id LEFT JOIN workspaces w ON w.id = i.workspace_id
        ORDER BY ${comparableTime(sql`f.until`)}, ${binaryOrder(sql`f.id`)}`,
    )
    return rows.flatMap(({ damage = [], ...row }) => (damage.some((field) => decisive.includes(field)) ? [] : [row]))
  },
})

/** Changes ignored findings, within a transaction. */
export const ignoredFindingWriter = (db: Statements, written: WrittenColumns): IgnoredFindingWriter => ({
  async put({ id, code, integrationId, workspace, name, until, reason, ignoredAt, ignoredBy }) {
    await db.execute(sql`INSERT INTO integration_findings (id, code, integration_id, workspace, name, until, reason, ignored_at, ignored_by)
      VALUES (${id}, ${code}, ${integrationId}, ${workspace}, ${name}, ${new Date(until)}, ${reason}, ${new Date(ignoredAt)}, ${ignoredBy})
      ON CONFLICT (id) DO UPDATE SET workspace = excluded.workspace, name = excluded.name, until = excluded.until,
        reason = excluded.reason, ignored_at = excluded.ignored_at, ignored_by = excluded.ignored_by`)
    written.add('finding', id, wholeRow)
  },
  async remove(id) {
    await db.execute(sql`DELETE FROM integration_findings WHERE id = ${id}`)
  },
})
