import sql, { join, type Sql } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import type { Damageable } from '../../damage.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import { type AuditEvent, eventsOf, eventTexts, newestEvent } from '../audit/events.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { counts } from '../tables/secret-metadata.ts'
import { type KnownVersion, readableText } from './stored.ts'

/** What an integration's field holds that is valid now, not decrypted: the current value, and previous ones in their grace period. */
export interface StoredAccepted {
  /** Of the integration. */
  readonly id: IntegrationId
  readonly field: SecretField
  /** What the application's column holds; null for nothing. */
  readonly current: string | null
  /** What is recorded of the current value and those before it, newest first. */
  readonly versions: readonly AcceptedVersion[]
  /** The newest event about the integration; null for none. */
  readonly newest: (AuditEvent & Damageable) | null
  /** What cannot be read of it, so that nothing of it counts. */
  readonly damage?: readonly string[]
}

interface AcceptedVersion extends KnownVersion {
  readonly sealed: string | null
  /** null: current */
  readonly validUntil: Instant | null
}

/** What can be read of values that are valid now. */
export interface AcceptedSecretReader {
  /** What some integrations hold in one field, read at one moment, and the database's clock at it. @throws RowsTooLong */
  valid(
    field: SecretField,
    ids: readonly IntegrationId[],
  ): Promise<{ readonly now: Instant; readonly stored: readonly StoredAccepted[] }>
}

/** Reads values that are valid now. */
export function acceptedSecretReader(db: Statements, dialect: Dialect): AcceptedSecretReader {
  const { jsonRows, toRfc3339, now, whole } = dialect
  return {
    async valid(field, ids) {
      const versions = jsonRows(
        [whole(sql`s.number`), sql`s.fingerprint`, sql`s.key_id`, sql`s.sealed`, toRfc3339(sql`s.valid_until`)],
        sql`integration_secrets s WHERE s.integration_id = i.id AND s.field = ${secretColumns[field]}
        AND ${counts(dialect)}`,
      )
      const rows = await db.queryAll<{
        id: IntegrationId | null
        now: Instant
        current: string | null
        versions: string | null
        newest: string | null
      }>(
        {
          id: sql`i.id`,
          now: toRfc3339(now),
          current: sql([`i.${secretColumns[field]}`]),
          versions,
          newest: newestEventText(dialect, sql`i.id`),
        },
        sql`FROM (SELECT 1 AS one) clock LEFT JOIN integrations i ON i.id IN (${ids.length === 0 ? sql`NULL` : join([...ids])})`,
      )
      const [clock] = rows
      if (!clock) throw new Error('the database did not tell the time')
      return {
        now: clock.now,
        stored: rows.flatMap(({ id, versions, newest, ...row }): StoredAccepted[] => {
          if (id === null) return []
          const damage = row.damage?.filter((name) => name !== 'current' && name !== 'newest')
          if (damage && damage.length > 0) return [{ id, field, current: null, versions: [], newest: null, damage }]
          const event = eventOf(newest, row.damage?.includes('newest') ?? false)
          return [{ id, field, current: readableText(row, 'current'), versions: versionsOf(versions), newest: event }]
        }),
      }
    },
  }
}

/** The newest event about an integration as the text of one cell. */
export const newestEventText = (dialect: Dialect, id: Sql): Sql =>
  dialect.jsonRows(
    Object.values(eventTexts(dialect)),
    sql`integration_events e WHERE e.seq = ${newestEvent('integration', id)}`,
  )

/** An event as one cell holds it. */
export function eventOf(text: string | null, isDamaged = false): (AuditEvent & Damageable) | null {
  const [event] = eventsOf(text)
  if (!event) return null
  return isDamaged ? { ...event, damage: ['newest'] } : event
}

const versionsOf = (text: string | null): AcceptedVersion[] =>
  (JSON.parse(text ?? '[]') as [number | string, Fingerprint | null, string | null, string | null, Instant | null][])
    .map(([number, print, keyId, sealed, validUntil]) => ({
      number: Number(number),
      fingerprint: print,
      keyId,
      sealed,
      validUntil,
    }))
    .sort((a, b) => b.number - a.number)
