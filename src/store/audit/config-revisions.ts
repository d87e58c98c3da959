/** The config of each integration before and after each change that this program has made of it. @module */
import sql, { empty } from 'sql-template-tag'
import type { Instant, IntegrationId } from '../../brands.ts'
import type { Damageable } from '../../damage.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'

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

/** What can be read of revisions. */
export interface ConfigRevisionReader {
  /** The revisions of an integration, newest first. */
  list(id: IntegrationId): Promise<readonly (ConfigRevision & Damageable)[]>
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
export const configRevisionReader = (db: Statements, { whole, toRfc3339, asText }: Dialect): ConfigRevisionReader => ({
  async list(id) {
    const rows = await db.queryAll<ConfigRevision>(
      { version: whole(sql`r.version`), changedAt: toRfc3339(sql`r.changed_at`) },
      sql`FROM integration_config_revisions r WHERE r.integration_id = ${id} ORDER BY r.version DESC`,
    )
    return rows.map((row) => ({ ...row, version: Number(row.version) }))
  },
  async find(id, version) {
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
