import type { Fingerprint } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, type EncryptionContext, storedValue } from '../../crypto/jwe.ts'
import type { KeySet } from '../../crypto/key-set.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { decryptionFailed, type IntegrationsError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { EncryptionMode } from '../tables/keys.ts'
import { encryptedBy, type KnownVersion, unreadable } from './stored.ts'

/**
 * Decrypts what the column of a secret holds.
 *
 * @param recordedKeyId the key that encrypts it, as its version is recorded; null for none
 * @returns the value, and the key that does encrypt it; null for a plain value
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function decryptStored(
  keys: KeySet,
  mode: EncryptionMode,
  context: EncryptionContext,
  text: string,
  recordedKeyId: string | null,
): Promise<{ readonly value: Secret; readonly keyId: string | null }> {
  if (text === unreadable)
    throw foreign(
      `${storedValue(context)} of the integration ${context.id} is not a text, or has a zero byte in it: it cannot be read whole`,
    )
  const keyId = encryptedBy(text, recordedKeyId)
  if (keyId !== null) return { value: await decrypt(keys, context, text), keyId }
  if (mode !== 'required') return { value: new Secret(text), keyId }
  throw foreign(`${storedValue(context)} is not encrypted, which this database requires: this program did not write it`)
}

/**
 * Decrypts what the column of a secret holds, and compares it with what is recorded of it.
 *
 * @param known the version that is recorded; null for none
 * @returns also the fingerprint; where the application may write, it can be another than the recorded one
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function decryptRecorded(
  keyring: Keyring,
  mode: EncryptionMode,
  context: EncryptionContext,
  text: string,
  known: KnownVersion | null,
): Promise<{ readonly value: Secret; readonly keyId: string | null; readonly fingerprint: Fingerprint }> {
  const { value, keyId } = await decryptStored(keyring.keys, mode, context, text, known?.keyId ?? null)
  const print = fingerprint(keyring.fingerprintKey, value)
  // An old value that was put back decrypts as well; this program alone writes here.
  if (mode === 'required' && known && known.fingerprint !== null && known.fingerprint !== print)
    throw notRecorded(context)
  return { value, keyId, fingerprint: print }
}

/** Another program has put a value where this program alone writes. */
export const notRecorded = (context: EncryptionContext): IntegrationsError =>
  foreign(`${storedValue(context)} is not the recorded one: another program has replaced it`)

const foreign = (message: string) =>
  decryptionFailed(
    message,
    'find out who wrote it; then store the right value with integrations rotate --force --grace 0',
  )
