import sql, { type Sql } from 'sql-template-tag'
import type { Fingerprint, IntegrationId } from '../../brands.ts'
import { describeStored, type EncryptionContext, encrypt } from '../../crypto/jwe.ts'
import type { PreviousValue } from '../../crypto/jwe-format.ts'
import type { RootKey } from '../../crypto/key-set.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { decryptionFailed } from '../../errors.ts'
import { type Expiry, expiresAt, type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { FingerprintChange } from '../audit/fingerprints.ts'
import { versionColumn, type WrittenColumns } from '../audit/written.ts'
import { maxTextBytes } from '../database/cells.ts'
import type { Dialect } from '../database/driver.ts'
import type { WritableStatements } from '../database/statements.ts'
import type { EncryptionMode } from '../tables/keys.ts'

/** How a value came to be stored. */
export type SecretOrigin = 'generated' | 'provided' | 'refreshed' | 'application'

/** What reading and changing secrets takes, within a transaction. */
export interface SecretContext {
  readonly tx: WritableStatements
  readonly dialect: Dialect
  readonly keyring: Keyring
  readonly mode: EncryptionMode
  readonly now: Date
  /** Told what the change writes. */
  readonly written: WrittenColumns
  /** Told what the application changed of an integration's secret, so that the audit log tells it. */
  readonly observe: (id: IntegrationId, change: FingerprintChange) => void
}

/** A secret of an integration. */
export interface SecretLocation {
  /** Of the integration. */
  readonly id: IntegrationId
  readonly field: SecretField
}

/** A version of a secret that becomes the current one. */
export interface NewVersion {
  readonly fingerprint: Fingerprint
  /** The key that encrypts what the column holds; null for none. */
  readonly keyId: string | null
  readonly origin: SecretOrigin
  readonly setBy: string | null
  readonly expiry: Expiry
}

/** How many versions of a secret are remembered; older facts are in the audit log alone. */
const versionsKept = 10

/** What a secret is encrypted for. @param previous which previous value it is; none: the current one */
export const encryptionContext = ({ id, field }: SecretLocation, previous?: PreviousValue): EncryptionContext => ({
  id,
  field: secretColumns[field],
  ...(previous ? { previous } : {}),
})

/**
 * Encrypts a value to store it.
 *
 * @param previous which previous value it is; none: the current one
 * @throws DECRYPTION_FAILED when it would be too long to be read again
 */
export function encryptToStore(key: RootKey, at: SecretLocation, value: Secret, previous?: PreviousValue): string {
  const context = encryptionContext(at, previous)
  const text = encrypt(key, context, value)
  if (text.length <= maxTextBytes) return text
  throw decryptionFailed(
    `${describeStored(context)} of ${at.id} is too long to be encrypted: its encrypted text would be longer than 1 MiB`,
    'replace the value with integrations rotate --end-previous --grace 0, or in the application',
  )
}

/** Whether a version (`s`) is one of a secret. */
export const allVersions = ({ id, field }: SecretLocation): Sql =>
  sql`s.integration_id = ${id} AND s.field = ${secretColumns[field]}`

/** Whether a version (`s`) is the current one. */
export const isCurrent: Sql = sql`s.valid_until IS NULL`

/** What the column is to hold for a value, and the key that encrypts it; null for none. */
export function columnValue(
  { keyring: { encryptionKey }, mode }: SecretContext,
  at: SecretLocation,
  value: Secret,
): { readonly text: string; readonly keyId: string | null } {
  if (mode === 'off') return { text: value.reveal(), keyId: null }
  return { text: encryptToStore(encryptionKey, at, value), keyId: encryptionKey.id }
}

/** Inserts the current version of a secret, and forgets those of long ago. @returns its number */
export async function insertVersion(
  context: SecretContext,
  at: SecretLocation,
  { fingerprint, keyId, origin, setBy, expiry }: NewVersion,
): Promise<number> {
  const { tx, dialect, now } = context
  const [latest] = await tx.query<{ number: number | bigint | null }>(
    {
      number: dialect.whole(
        sql`max(CASE WHEN ${dialect.isMalformed('whole', sql`s.number`)} THEN NULL ELSE s.number END)`,
      ),
    },
    sql`FROM integration_secrets s WHERE ${allVersions(at)}`,
  )
  const number = Number(latest?.number ?? 0) + 1
  const end = expiresAt(expiry)
  await tx.execute(sql`INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, origin, set_at, set_by,
    never_expires, expires_at) VALUES (${at.id}, ${secretColumns[at.field]}, ${number}, ${fingerprint}, ${keyId}, ${origin}, ${now}, ${setBy},
    ${expiry === 'never'}, ${end === null ? null : new Date(end)})`)
  // One that is current or has a value stays: a rotation taken back again and again makes an old one current.
  if (number > versionsKept)
    await tx.execute(sql`DELETE FROM integration_secrets AS s WHERE ${allVersions(at)}
      AND s.number <= ${number - versionsKept} AND s.valid_until <= ${now} AND s.sealed IS NULL`)
  wroteVersion(context, at, number)
  return number
}

/** Tells that versions of a secret were written. @param number the one that is current or accepted by that */
export function wroteVersion({ written }: SecretContext, { id, field }: SecretLocation, number?: number): void {
  const column = secretColumns[field]
  written.add('integration', id, column, ...(number === undefined ? [] : [versionColumn(column, number)]))
}

/** Ends versions of a secret at once: their values are gone, their facts stay. @param which a condition on them (`s`) @returns how many */
export async function expireVersions(context: SecretContext, at: SecretLocation, which: Sql): Promise<number> {
  const { tx, now } = context
  wroteVersion(context, at)
  return tx.execute(sql`UPDATE integration_secrets AS s SET valid_until = ${now}, sealed = NULL, key_id = NULL
    WHERE ${allVersions(at)} AND ${which}`)
}

/** When the current access token expires, its column alone knows: the application may have written that since it was set. */
export async function rememberExpiry({ tx }: SecretContext, id: IntegrationId): Promise<void> {
  await tx.execute(
    sql`UPDATE integration_secrets SET expires_at = (SELECT i.token_expires_at FROM integrations i WHERE i.id = ${id})
      WHERE integration_id = ${id} AND field = ${secretColumns.accessToken} AND valid_until IS NULL`,
  )
}

/**
 * Gives the current access token another expiry, in the column of the application and in its version.
 *
 * @returns whether the column has changed, which may keep whole seconds alone
 */
export async function setExpiry(
  context: SecretContext,
  id: IntegrationId,
  { number, expiry }: { readonly number: number; readonly expiry: Expiry },
): Promise<boolean> {
  const { tx, written, dialect } = context
  const stored = async () => {
    const ends = { ends: dialect.toRfc3339(sql`i.token_expires_at`) }
    const [row] = await tx.queryAll<{ ends: string | null }>(ends, sql`FROM integrations i WHERE i.id = ${id}`)
    return row?.ends
  }
  const at = { id, field: 'accessToken' } as const
  const end = expiresAt(expiry)
  const date = end === null ? null : new Date(end)
  const before = await stored()
  await tx.execute(sql`UPDATE integrations SET token_expires_at = ${date} WHERE id = ${id}`)
  written.add('integration', id, 'token_expires_at')
  await tx.execute(sql`UPDATE integration_secrets AS s SET never_expires = ${expiry === 'never'}, expires_at = ${date}
    WHERE ${allVersions(at)} AND s.number = ${number}`)
  wroteVersion(context, at, number)
  return expiry === 'never' || before !== (await stored())
}
