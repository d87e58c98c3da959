import { hkdfSync } from 'node:crypto'
import { decryptionFailed, IntegrationsError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { keyIdOf } from './jwe-format.ts'
import type { KeySet, RootKey } from './key-set.ts'

/** Where a value belongs. An encrypted value can be decrypted there alone. */
export interface EncryptionContext {
  /** Of the integration. */
  readonly id: string
  /** The column, as in `webhook_secret`. */
  readonly field: string
}

/**
 * Encrypts a value for its context: JWE compact serialization with a direct key, which HKDF derives from a root key for
 * this context alone. https://www.rfc-editor.org/rfc/rfc7516, https://www.rfc-editor.org/rfc/rfc5869
 */
export async function encrypt(key: RootKey, context: EncryptionContext, value: Secret): Promise<string> {
  const { CompactEncrypt } = await import('jose')
  return new CompactEncrypt(new TextEncoder().encode(value.reveal()))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: key.id })
    .encrypt(contentKey(key, context))
}

/**
 * Decrypts a value in its context, with the key that its header names and no other.
 *
 * @throws KEY_NOT_FOUND when the set lacks that key, DECRYPTION_FAILED when the value was changed, or belongs elsewhere
 */
export async function decrypt(keys: KeySet, context: EncryptionContext, text: string): Promise<Secret> {
  const id = keyIdOf(text)
  if (id === undefined) throw undecryptable(context)
  const key = keys.get(id)
  if (key?.use !== 'enc')
    throw new IntegrationsError({
      code: 'KEY_NOT_FOUND',
      message: `a value is encrypted with the key ${id}, which is not in the key set`,
      hint: 'add the key to the set that INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND names',
    })
  const { compactDecrypt } = await import('jose')
  try {
    const { plaintext } = await compactDecrypt(text, contentKey(key, context), {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
      maxDecompressedLength: 0,
    })
    return new Secret(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext))
  } catch {
    throw undecryptable(context)
  }
}

const contentKey = ({ bytes }: RootKey, { id, field }: EncryptionContext): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', bytes, '', `integrations/v1\0${id}\0${field}`, 32))

/** The value in messages, as in "the stored webhook secret". */
export const describeStored = ({ field }: EncryptionContext): string => `the stored ${field.replaceAll('_', ' ')}`

const undecryptable = (context: EncryptionContext) =>
  decryptionFailed(
    `${describeStored(context)} cannot be decrypted: it was changed, or belongs to another row`,
    'integrations audit verify shows since when; store the value again with integrations rotate --force --grace 0',
  )
