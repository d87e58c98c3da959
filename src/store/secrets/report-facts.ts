/** What a report needs of secrets besides what integrations show. None of it is a value. @module */
import sql, { join } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import { type SecretField, secretColumns, secretFields } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { isPrevious } from '../tables/secret-metadata.ts'

/** A version of a secret of which there is something to say. */
export interface NotedVersion {
  readonly integrationId: IntegrationId
  readonly field: SecretField
  /** `current`, or accepted as a previous one. */
  readonly state: 'current' | 'previous'
  readonly setAt: Instant
  readonly lastMatchedAt: Instant | null
  /** null: its value is not encrypted. */
  readonly keyId: string | null
}

/** What can be read for a report. */
export interface ReportReader {
  /** The current and previous versions of secrets that are in a grace period, or whose values are not under a key that decrypts. */
  noted(ids: readonly IntegrationId[]): Promise<readonly NotedVersion[]>
  /** The fingerprints of current values that several integrations hold, as far as is recorded, and how many do. */
  sharedFingerprints(): Promise<ReadonlyMap<Fingerprint, number>>
  /** When a receiver has last reported; null: none ever has, or all have stopped in order. */
  lastReport(): Promise<Instant | null>
  /** When this program last changed some integrations. */
  changedAt(ids: readonly IntegrationId[]): Promise<ReadonlyMap<IntegrationId, Instant>>
  /** Whether a use of any integration was ever recorded. */
  usesRecorded(): Promise<boolean>
}

const fieldOf = new Map<string, SecretField>(secretFields.map((field) => [secretColumns[field], field]))

/** Reads for a report. */
export function reportReader(db: Statements, dialect: Dialect): ReportReader {
  const { toRfc3339, comparableTime } = dialect
  return {
    async noted(ids) {
      if (ids.length === 0) return []
      const rows = await db.queryAll<Omit<NotedVersion, 'field'> & { field: string }>(
        {
          integrationId: sql`s.integration_id`,
          field: sql`s.field`,
          state: sql`CASE WHEN s.valid_until IS NULL THEN 'current' ELSE 'previous' END`,
          setAt: toRfc3339(sql`s.set_at`),
          lastMatchedAt: toRfc3339(sql`s.last_matched_at`),
          keyId: sql`s.key_id`,
        },
        sql`FROM integration_secrets s WHERE s.integration_id IN (${join([...ids])}) AND (${isPrevious(dialect)}
          OR (s.valid_until IS NULL AND (s.key_id IS NULL
            OR s.key_id NOT IN (SELECT k.id FROM integration_keys k WHERE k.state <> 'retired')
            OR EXISTS (SELECT 1 FROM integration_secrets p WHERE p.integration_id = s.integration_id AND p.field = s.field
              AND p.valid_until IS NOT NULL AND p.key_id IS NOT NULL))))`,
      )
      // What cannot be read of a version, the integration itself tells.
      return rows.flatMap(({ field: column, damage, ...row }) => {
        const field = fieldOf.get(column)
        return field === undefined || damage ? [] : [{ ...row, field }]
      })
    },
    async sharedFingerprints() {
      const rows = await db.queryAll<{ fingerprint: Fingerprint; n: number | bigint }>(
        { fingerprint: sql`s.fingerprint`, n: sql`count(DISTINCT s.integration_id)` },
        sql`FROM integration_secrets s WHERE s.valid_until IS NULL AND s.fingerprint IS NOT NULL
          GROUP BY s.fingerprint HAVING count(DISTINCT s.integration_id) > 1`,
      )
      return new Map(rows.flatMap(({ fingerprint, n, damage }) => (damage ? [] : [[fingerprint, Number(n)] as const])))
    },
    async lastReport() {
      const [row] = await db.queryAll<{ at: Instant }>(
        { at: toRfc3339(sql`r.updated_at`) },
        sql`FROM integration_receivers r ORDER BY ${comparableTime(sql`r.updated_at`)} DESC, r.id LIMIT 1`,
      )
      return row && !row.damage ? row.at : null
    },
    async changedAt(ids) {
      if (ids.length === 0) return new Map()
      const rows = await db.queryAll<{ id: IntegrationId; at: Instant }>(
        { id: sql`v.integration_id`, at: toRfc3339(sql`v.updated_at`) },
        sql`FROM integration_versions v WHERE v.integration_id IN (${join([...ids])})`,
      )
      return new Map(rows.flatMap(({ id, at, damage }) => (damage ? [] : [[id, at] as const])))
    },
    async usesRecorded() {
      const [row] = await db.query<{ used: number | boolean }>(
        { used: sql`EXISTS (SELECT 1 FROM integrations i WHERE i.last_used_at IS NOT NULL)` },
        sql``,
      )
      return Boolean(row?.used)
    },
  }
}
