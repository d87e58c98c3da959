import sql, { join } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import { mayBeCurrent } from '../tables/secret-metadata.ts'
import { decryptRecorded, type HeldValue } from './decrypt.ts'
import { type KnownVersion, readableText, unreadable } from './stored.ts'
import {
  allVersions,
  encryptionContext,
  expireVersions,
  insertVersion,
  isCurrent,
  type SecretContext,
  type SecretLocation,
  wroteVersion,
} from './versions.ts'

/** A secret's current value, with what the database holds for it. */
export interface CurrentSecret {
  readonly value: Secret
  readonly fingerprint: Fingerprint
  /** What the column holds: the value, or the encrypted value. */
  readonly stored: string
  /** The key that encrypts what the column holds; null for none. */
  readonly keyId: string | null
  readonly number: number
}

/** What a column holds that does not decrypt, or is not what was recorded. */
export interface UnreadableSecret {
  readonly stored: string
  readonly fingerprint: null
}

/** Current values by field. */
export type CurrentSecrets = { readonly [F in SecretField]?: CurrentSecret }

/** Decrypts the value of one of the integrations that were read; undefined for none. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
export type OpenCurrent = (id: IntegrationId) => Promise<CurrentSecret | undefined>

/** Reads what a column holds for several integrations at once. */
export async function readMany(
  context: SecretContext,
  ids: readonly IntegrationId[],
  field: SecretField,
): Promise<OpenCurrent> {
  const found = await storedIn(context, ids, field)
  return async (id) => {
    const { text, known } = found.get(id) ?? { text: null, known: null }
    if (text !== null) return reconcile(context, { id, field }, { text, known })
    if (known) await markCleared(context, { id, field }, known)
    return undefined
  }
}

/** Decrypts a current value. One that is not what its version says was written by the application, and is recorded. */
export async function reconcile(
  context: SecretContext,
  at: SecretLocation,
  { text, known }: Omit<HeldValue, 'context'>,
): Promise<CurrentSecret> {
  const { tx, observe } = context
  const recorded = decryptRecorded(context, { context: encryptionContext(at), text, known })
  const { value, keyId, fingerprint } = recorded
  const held = (number: number): CurrentSecret => ({ value, fingerprint, stored: text, keyId, number })
  if (known?.fingerprint === fingerprint) return held(known.number)
  observe(at.id, { field: secretColumns[at.field], from: known?.fingerprint ?? null, to: fingerprint })
  if (known && known.fingerprint === null) {
    await tx.execute(sql`UPDATE integration_secrets AS s SET fingerprint = ${fingerprint}
      WHERE ${allVersions(at)} AND ${isCurrent} AND s.number = ${known.number}`)
    wroteVersion(context, at, known.number)
    return held(known.number)
  }
  await expireVersions(context, at, isCurrent)
  const facts = { fingerprint, keyId, origin: 'application', setBy: null, expiry: 'unknown' } as const
  return held(await insertVersion(context, at, facts))
}

/** A value that the application has cleared is not current any more. */
export async function markCleared(context: SecretContext, at: SecretLocation, known: KnownVersion): Promise<void> {
  await expireVersions(context, at, isCurrent)
  context.observe(at.id, { field: secretColumns[at.field], from: known.fingerprint, to: null })
}

/** What the column of a secret of integrations holds, as it is, and its version; null for nothing. */
export async function storedIn(
  { tx, dialect }: SecretContext,
  ids: readonly IntegrationId[],
  field: SecretField,
): Promise<Map<IntegrationId, { readonly text: string | null; readonly known: KnownVersion | null }>> {
  const column = secretColumns[field]
  const rows = await tx.queryAll<{
    id: IntegrationId
    text: string | null
    number: number | bigint | null
    fingerprint: Fingerprint | null
    keyId: string | null
    validUntil: Instant | null
  }>(
    {
      id: sql`i.id`,
      text: sql([`i.${column}`]),
      number: dialect.whole(sql`s.number`),
      fingerprint: sql`s.fingerprint`,
      keyId: sql`s.key_id`,
      validUntil: dialect.toRfc3339(sql`s.valid_until`),
    },
    sql`FROM integrations i LEFT JOIN integration_secrets s ON s.integration_id = i.id AND s.field = ${column} AND ${mayBeCurrent(dialect)}
    WHERE i.id IN (${join(ids)})`,
  )
  return new Map(
    rows.map(({ id, number, fingerprint, keyId, validUntil: _, ...row }) => [
      id,
      {
        // What is recorded of a value tells how to read it.
        text: row.damage ? unreadable : readableText(row, 'text'),
        known:
          number === null || row.damage?.includes('number') ? null : { number: Number(number), fingerprint, keyId },
      },
    ]),
  )
}
