import sql, { join, type Sql } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt } from '../../crypto/jwe.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { type Damageable, damaged } from '../../damage.ts'
import { databaseInvalid } from '../../errors.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import { type AuditEvent, eventHash, eventsOf, eventTexts, newestEvent } from '../audit/events.ts'
import { isFingerprint } from '../audit/fingerprints.ts'
import type { PreviousValues } from '../audit/head.ts'
import { parseState, type VersionState } from '../audit/row-state.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { counts } from '../tables/secret-metadata.ts'
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

/** A value that is valid now. */
export interface ValidSecret {
  /** null: the application has written it, and it is not recorded yet. */
  readonly number: number | null
  readonly fingerprint: Fingerprint
  readonly value: Secret
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

/** What the values of a database are decrypted with. */
export interface AcceptedDecryption extends Decryption {
  readonly previous: PreviousValues
}

/**
 * The versions that an event about an integration lists as current or accepted.
 *
 * @param newest the newest event about it; null for none
 * @returns undefined where an older version of this program recorded it, or none has
 * @throws DATABASE_INVALID when the event is not one of this program
 */
export function acceptedVersions(
  keyring: Pick<Keyring, 'auditKey'>,
  id: string,
  newest: (AuditEvent & Damageable) | null,
): readonly VersionState[] | undefined {
  if (newest === null) return undefined
  if (newest.damage || newest.hash !== eventHash(keyring, newest.previousHash, newest))
    throw databaseInvalid(
      `the newest event about the integration ${id} was changed, so which of its secrets are accepted is unknown`,
      'integrations audit verify; then store the secret again with integrations rotate',
    )
  if (newest.format === null) return undefined
  return parseState(newest.state)?.secrets ?? []
}

/**
 * Decrypts the values of a field that are valid now, the current one first.
 *
 * @param onError told why a value does not decrypt, or is not the recorded one: the others are valid all the same
 */
export function decryptAccepted(
  decryption: AcceptedDecryption,
  { id, field, current, versions, newest, damage }: StoredAccepted,
  onError: (error: unknown) => void,
): ValidSecret[] {
  const { keyring, mode, previous } = decryption
  const isRecorded = previous !== 'unrecorded'
  const context = { id, field: secretColumns[field] }
  const opened: ValidSecret[] = []
  if (damage) onError(damaged(id, damage))
  let listed: readonly VersionState[] | undefined
  try {
    listed = isRecorded
      ? acceptedVersions(keyring, id, newest)?.filter((one) => one.field === context.field)
      : undefined
  } catch (error) {
    onError(error)
    return []
  }
  const known = versions.find(({ validUntil }) => validUntil === null) ?? null
  // A fingerprint that is none would not be that of any value.
  const unreadable = versions.filter(({ fingerprint }) => fingerprint !== null && !isFingerprint(fingerprint))
  if (unreadable.length > 0) onError(damaged(id, ['fingerprint']))
  if (current !== null) {
    try {
      const { value, fingerprint: print } = decryptRecorded(decryption, { context, text: current, known })
      const number = known?.fingerprint === print ? known.number : null
      const isListed = listed?.some(({ valid_until, ...one }) => valid_until === null && one.fingerprint === print)
      // This program alone writes here, so that an event tells of it, if only one of an older version.
      if (mode === 'required' && isRecorded && !(isListed ?? newest !== null)) throw new NotRecorded(context)
      opened.push({ number, fingerprint: print, value, validUntil: null })
    } catch (error) {
      onError(error)
    }
  }
  for (const { number, fingerprint: known, sealed, validUntil } of versions) {
    if (sealed === null || validUntil === null) continue
    try {
      const listedOne = listed?.find((one) => one.number === number && one.valid_until === validUntil)
      if (isRecorded && !listedOne) throw new NotRecorded(context)
      const which = previous === 'bound' ? { previous: { number, until: validUntil } } : {}
      const value = decrypt(keyring.keys, { ...context, ...which }, sealed)
      const print = fingerprint(keyring.fingerprintKey, value)
      if (print !== (listedOne ? listedOne.fingerprint : (known ?? print))) throw new NotRecorded(context)
      opened.push({ number, fingerprint: print, value, validUntil })
    } catch (error) {
      onError(error)
    }
  }
  return opened
}
