import sql, { join } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt } from '../../crypto/jwe.ts'
import { damaged } from '../../damage.ts'
import { type PlatformColumn, type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { isFingerprint } from '../tables/fingerprints.ts'
import { currentSecret, platformColumn } from '../tables/integration-filter.ts'
import { counts, isPrevious } from '../tables/secret-metadata.ts'
import { type Decryption, decryptRecorded, NotRecorded } from './decrypt.ts'
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
  /** What cannot be read of it, so that nothing of it counts. */
  readonly damage?: readonly string[]
}

interface AcceptedVersion extends KnownVersion {
  readonly sealed: string | null
  /** null: current */
  readonly validUntil: Instant | null
}

/** A value that is valid now. */
export interface ValidSecret {
  /** null: the application has written it, and it is not recorded yet. */
  readonly number: number | null
  readonly fingerprint: Fingerprint
  readonly value: Secret
  /** null: current */
  readonly validUntil: Instant | null
}

/** A row that nothing finds: what it would be found by cannot be read. */
export interface Stray {
  readonly id: string
  readonly damage: readonly string[]
}

/** What can be read of values that are valid now. */
export interface AcceptedSecretReader {
  /** What some integrations hold in one field, read at one moment, and the database's clock at it. */
  valid(
    field: SecretField,
    ids: readonly IntegrationId[],
  ): Promise<{ readonly now: Instant; readonly stored: readonly StoredAccepted[] }>
  /**
   * A row that may be the one that a webhook of a platform names, or hold the secret that it is signed with, because what
   * names the row cannot be read.
   */
  stray(platform: string, column: PlatformColumn | undefined): Promise<Stray | undefined>
  /** Integrations that hold a valid value between them, one for each value of a platform, as far as is recorded. */
  holders(field: SecretField, platform: string, limit: number): Promise<IntegrationId[]>
}

/** Reads values that are valid now. */
export function acceptedSecretReader(db: Statements, dialect: Dialect): AcceptedSecretReader {
  const { jsonRows, toRfc3339, now, whole, isMalformed } = dialect
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
      }>(
        { id: sql`i.id`, now: toRfc3339(now), current: sql([`i.${secretColumns[field]}`]), versions },
        sql`FROM (SELECT 1 AS one) clock LEFT JOIN integrations i ON ${ids.length === 0 ? sql`1 = 0` : sql`i.id IN (${join([...ids])})`}`,
      )
      const [clock] = rows
      if (!clock) throw new Error('the database did not tell the time')
      return {
        now: clock.now,
        stored: rows.flatMap(({ id, versions, ...row }): StoredAccepted[] => {
          if (id === null) return []
          const damage = row.damage?.filter((name) => name !== 'current')
          if (damage && damage.length > 0) return [{ id, field, current: null, versions: [], damage }]
          return [{ id, field, current: readableText(row, 'current'), versions: recorded(versions) }]
        }),
      }
    },
    async stray(platform, column) {
      const names = {
        id: sql`i.id`,
        platform: sql`i.platform`,
        ...(column ? { [column]: platformColumn(column) } : {}),
      }
      const unreadable = Object.values(names).map((name) => isMalformed('text', name))
      const integrations = await db.queryAll<{ id: string }>(
        names,
        sql`FROM integrations i WHERE (i.platform = ${platform} OR ${isMalformed('text', names.platform)})
          AND (${join(unreadable, ' OR ')}) LIMIT 1`,
      )
      // Without its version, a current value is told of where it is read.
      const id = sql`s.integration_id`
      const previous = await db.queryAll<{ id: string }>(
        { id },
        sql`FROM integration_secrets s WHERE s.sealed IS NOT NULL AND ${isMalformed('text', id)} LIMIT 1`,
      )
      const found = [...integrations, ...previous].find(({ damage }) => damage)
      return found && { id: found.id, damage: found.damage ?? [] }
    },
    async holders(field, platform, limit) {
      const column = secretColumns[field]
      const rows = await db.queryAll<{ id: IntegrationId }>(
        { id: sql`h.id` },
        sql`FROM (
        SELECT min(s.integration_id) AS id FROM integration_secrets s JOIN integrations i ON i.id = s.integration_id
          WHERE i.platform = ${platform} AND s.field = ${column} AND (s.valid_until IS NULL OR ${isPrevious(dialect)})
          GROUP BY s.fingerprint
        UNION SELECT i.id FROM integrations i WHERE i.platform = ${platform} AND ${sql([`i.${column}`])} IS NOT NULL
          AND NOT EXISTS (${currentSecret(field)})
      ) h GROUP BY h.id ORDER BY h.id LIMIT ${limit}`,
      )
      return rows.map(({ id }) => id)
    },
  }
}

const recorded = (text: string | null): AcceptedVersion[] =>
  (JSON.parse(text ?? '[]') as [number | string, Fingerprint | null, string | null, string | null, Instant | null][])
    .map(([number, print, keyId, sealed, validUntil]) => ({
      number: Number(number),
      fingerprint: print,
      keyId,
      sealed,
      validUntil,
    }))
    .sort((a, b) => b.number - a.number)

/**
 * Decrypts the values of a field that are valid now, the current one first.
 *
 * @param onError told why a value does not decrypt, or is not the recorded one: the others are valid all the same
 */
export function decryptAccepted(
  decryption: Decryption,
  { id, field, current, versions, damage }: StoredAccepted,
  onError: (error: unknown) => void,
): ValidSecret[] {
  const { keyring } = decryption
  const context = { id, field: secretColumns[field] }
  const opened: ValidSecret[] = []
  if (damage) onError(damaged(id, damage))
  const known = versions.find(({ validUntil }) => validUntil === null) ?? null
  // A fingerprint that is none would not be that of any value.
  const unreadable = versions.filter(({ fingerprint }) => fingerprint !== null && !isFingerprint(fingerprint))
  if (unreadable.length > 0) onError(damaged(id, ['fingerprint']))
  if (current !== null) {
    try {
      const { value, fingerprint: print } = decryptRecorded(decryption, { context, text: current, known })
      const number = known?.fingerprint === print ? known.number : null
      opened.push({ number, fingerprint: print, value, validUntil: null })
    } catch (error) {
      onError(error)
    }
  }
  for (const { number, fingerprint: known, sealed, validUntil } of versions) {
    if (sealed === null || validUntil === null) continue
    try {
      const value = decrypt(keyring.keys, context, sealed)
      const print = fingerprint(keyring.fingerprintKey, value)
      if (known !== null && known !== print) throw new NotRecorded(context)
      opened.push({ number, fingerprint: print, value, validUntil })
    } catch (error) {
      onError(error)
    }
  }
  return opened
}
