/** The config of each integration before and after each change that this program has made of it. @module */
import sql, { empty, join, type Sql } from 'sql-template-tag'
import type { Instant, IntegrationId } from '../../brands.ts'
import type { Damageable } from '../../damage.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'
import { all, type ListReader, listReader, type Source } from '../tables/page.ts'
import type { revisionSorts } from '../tables/sorts.ts'
import { type AuditEvent, eventTexts } from './events.ts'

/** A change of a config, without the texts. */
export interface ConfigRevision {
  /** Of the integration after the change. */
  readonly version: number
  readonly changedAt: Instant
}

/** The texts of a config before and after a change; null for none. */
export interface RevisedConfig {
  readonly version: number
  readonly before: string | null
  readonly after: string | null
}

/** What tells who made a change. */
export type RevisionEvent = Pick<AuditEvent, 'seq' | 'ciIdentity' | 'osUser' | 'host' | 'declaredAs' | 'reason'>

/** What can be read of revisions. */
export interface ConfigRevisionReader {
  /** The revisions of an integration, whose ids are their versions. */
  of(id: IntegrationId): ListReader<object, ConfigRevision>
  /** The last events about changes of the config of an integration to some versions, by version. */
  events(id: IntegrationId, versions: readonly number[]): Promise<Map<number, RevisionEvent>>
  /** A revision by its version, else the newest. */
  find(id: string, version?: number): Promise<(RevisedConfig & Damageable) | undefined>
}

/** What can be changed of revisions. */
export interface ConfigRevisionWriter {
  /** Keeps the config as it is now, beside the text before, as a change to a version. */
  keep(id: IntegrationId, revision: Pick<RevisedConfig, 'version' | 'before'>): Promise<void>
  /** Deletes the revisions of one integration, or of all. @returns how many */
  purge(id?: IntegrationId): Promise<number>
}

/** Reads revisions. */
export const configRevisionReader = (db: Statements, dialect: Dialect): ConfigRevisionReader => ({
  of(id) {
    const { whole, toRfc3339 } = dialect
    const version = sql`r.version`
    const source: Source<ConfigRevision> = {
      columns: { version: whole(version), changedAt: toRfc3339(sql`r.changed_at`) },
      from: sql`(SELECT * FROM integration_config_revisions WHERE integration_id = ${id}) r`,
      id: version,
      idField: 'version',
      idKey: version,
      keys: { version } satisfies Record<(typeof revisionSorts)[number], Sql>,
    }
    const toRow = (row: ConfigRevision & Damageable) => ({ ...row, version: Number(row.version) })
    return listReader({ db, dialect, source, condition: () => all([]), toRow })
  },
  async events(id, versions) {
    if (versions.length === 0) return new Map()
    const { seq, ciIdentity, osUser, host, declaredAs, reason } = eventTexts(dialect)
    const version = dialect.whole(sql`e.version_after`)
    const rows = await db.queryAll<RevisionEvent & { readonly version: number }>(
      { seq, ciIdentity, osUser, host, declaredAs, reason, version },
      sql`FROM integration_events e
        WHERE e.target_id = ${id} AND e.action = 'config.change' AND e.version_after IN (${join(versions)}) ORDER BY e.seq`,
    )
    // An integration that was put back from a copy may come to a version again.
    return new Map(rows.map(({ version, ...event }) => [Number(version), event]))
  },
  async find(id, version) {
    const { whole, asText } = dialect
    const [row] = await db.queryAll<RevisedConfig>(
      { version: whole(sql`r.version`), before: asText(sql`r.before`), after: asText(sql`r.after`) },
      sql`FROM integration_config_revisions r WHERE r.integration_id = ${id}
        ${version === undefined ? empty : sql`AND r.version = ${version}`} ORDER BY r.version DESC LIMIT 1`,
    )
    return row && { ...row, version: Number(row.version) }
  },
})

/** Writes revisions. */
export const configRevisionWriter = (
  tx: WritableStatements,
  { now, dialect: { asText } }: { readonly now: Date; readonly dialect: Dialect },
): ConfigRevisionWriter => ({
  async keep(id, { version, before }) {
    // An integration that was put back from a copy may come to a version again.
    await tx.execute(sql`INSERT INTO integration_config_revisions (integration_id, version, before, after, changed_at)
      SELECT i.id, ${version}, ${before}, ${asText(sql`i.config`)}, ${now} FROM integrations i WHERE i.id = ${id}
      ON CONFLICT (integration_id, version) DO UPDATE SET before = excluded.before, after = excluded.after, changed_at = excluded.changed_at`)
  },
  purge: (id) =>
    tx.execute(
      sql`DELETE FROM integration_config_revisions ${id === undefined ? empty : sql`WHERE integration_id = ${id}`}`,
    ),
})
