import type { Fingerprint } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, describeStored, type EncryptionContext } from '../../crypto/jwe.ts'
import { keyIdOf } from '../../crypto/jwe-format.ts'
import type { KeySet } from '../../crypto/key-set.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { decryptionFailed, IntegrationsError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { EncryptionMode } from '../tables/keys.ts'
import { encryptedBy, type KnownVersion, unreadable } from './stored.ts'

/** What values are decrypted with, and whether all of them must be encrypted. */
export interface Decryption {
  readonly keyring: Keyring
  readonly mode: EncryptionMode
}

/** What the column of a secret holds, and what is recorded of it. */
export interface HeldValue {
  readonly context: EncryptionContext
  readonly text: string
  /** null: no version is recorded. */
  readonly known: KnownVersion | null
}

/**
 * Decrypts what the column of a secret holds.
 *
 * @returns the value, and the key that does encrypt it; null for a plain value
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export function decryptStored(
  { keyring: { keys }, mode }: Decryption,
  { context, text, known }: HeldValue,
): { readonly value: Secret; readonly keyId: string | null } {
  if (text === unreadable)
    throw foreign(
      `${describeStored(context)} of the integration ${context.id} is not a text, or has a zero byte in it: it cannot be read whole`,
    )
  const keyId = encryptedBy(text, known?.keyId ?? null)
  if (keyId !== null) return { value: decrypt(keys, context, text), keyId }
  const own = mode !== 'required' && !known ? ownValue(keys, context, text) : undefined
  if (own) return own
  if (mode !== 'required') return { value: new Secret(text), keyId }
  throw foreign(
    `${describeStored(context)} is not encrypted, which this database requires: this program did not write it`,
  )
}

/** A value that decrypts here was encrypted by this program, whatever became of its version. */
function ownValue(keys: KeySet, context: EncryptionContext, text: string) {
  const keyId = keyIdOf(text)
  if (keyId === undefined || !keys.has(keyId)) return undefined
  try {
    return { value: decrypt(keys, context, text), keyId }
  } catch {
    return undefined
  }
}

/**
 * Decrypts what the column of a secret holds, and compares it with what is recorded of it.
 *
 * @returns also the fingerprint; where the application may write, it can be another than the recorded one
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export function decryptRecorded(
  decryption: Decryption,
  held: HeldValue,
): { readonly value: Secret; readonly keyId: string | null; readonly fingerprint: Fingerprint } {
  const { value, keyId } = decryptStored(decryption, held)
  const { known, context } = held
  const print = fingerprint(decryption.keyring.fingerprintKey, value)
  // An old value that was put back decrypts as well; this program alone writes here.
  if (decryption.mode === 'required' && known && known.fingerprint !== null && known.fingerprint !== print)
    throw new NotRecorded(context)
  return { value, keyId, fingerprint: print }
}

/** Another program has put a value where this program alone writes. */
export class NotRecorded extends IntegrationsError {
  constructor(context: EncryptionContext) {
    super({
      code: 'DECRYPTION_FAILED',
      message: `${describeStored(context)} is not the recorded one: another program has replaced it`,
      hint: replaceIt,
    })
  }
}

const replaceIt = 'find out who wrote it; then store the right value with integrations rotate --end-previous --grace 0'

const foreign = (message: string) => decryptionFailed(message, replaceIt)
