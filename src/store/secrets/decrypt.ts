import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, type EncryptionContext } from '../../crypto/jwe.ts'
import type { KeySet } from '../../crypto/key-set.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { IntegrationsError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { EncryptionMode } from '../tables/keys.ts'
import { encryptedBy, type KnownVersion, unreadable } from './stored.ts'

/**
 * Opens what the column of a secret holds.
 *
 * @param recordedKeyId the key that seals it, as its version is recorded; null for none
 * @returns the value, and the key that does seal it; null when nothing does
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function decryptStored(
  keys: KeySet,
  mode: EncryptionMode,
  cell: EncryptionContext,
  text: string,
  recordedKeyId: string | null,
): Promise<{ readonly value: Secret; readonly keyId: string | null }> {
  if (text === unreadable)
    throw new IntegrationsError({
      code: 'DECRYPTION_FAILED',
      message: `the stored ${label(cell)} of the integration ${cell.id} is no text, or has a zero byte in it: it cannot be read whole`,
      hint: 'find out who wrote it; then put the right value in with integrations rotate --force --grace 0',
    })
  const keyId = encryptedBy(text, recordedKeyId)
  if (keyId !== null) return { value: await decrypt(keys, cell, text), keyId }
  if (mode !== 'required') return { value: new Secret(text), keyId }
  throw new IntegrationsError({
    code: 'DECRYPTION_FAILED',
    message: `the stored ${label(cell)} is not sealed, which this database demands: this program did not write it`,
    hint: 'find out who did; then put the right value in with integrations rotate --force --grace 0',
  })
}

/**
 * Opens what the column of a secret holds, and compares it with what is recorded of it.
 *
 * @param known the version that is recorded; null for none
 * @returns also the fingerprint; where the application may write, it can be another than the recorded one
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function decryptRecorded(
  vault: Keyring,
  mode: EncryptionMode,
  cell: EncryptionContext,
  text: string,
  known: KnownVersion | null,
): Promise<{ readonly value: Secret; readonly keyId: string | null; readonly fingerprint: string }> {
  const { value, keyId } = await decryptStored(vault.keys, mode, cell, text, known?.keyId ?? null)
  const print = fingerprint(vault.fingerprintKey, value)
  // An old value that somebody put back opens in its cell as well; nobody but this program writes here.
  if (mode === 'required' && known && known.fingerprint !== null && known.fingerprint !== print) throw notRecorded(cell)
  return { value, keyId, fingerprint: print }
}

/** Somebody who is not this program has put a value where nobody else writes. */
export const notRecorded = (cell: EncryptionContext): IntegrationsError =>
  new IntegrationsError({
    code: 'DECRYPTION_FAILED',
    message: `the stored ${label(cell)} is not the one that was recorded: somebody has put another in its place`,
    hint: 'find out who did; then put the right value in with integrations rotate --force --grace 0',
  })

const label = ({ field }: EncryptionContext) => field.replaceAll('_', ' ')
