import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { decryptionFailed, IntegrationsError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { headerOf, type PreviousValue } from './jwe-format.ts'
import type { KeySet, RootKey } from './key-set.ts'

/** Where a value belongs. An encrypted value can be decrypted there alone. */
export interface EncryptionContext {
  /** Of the integration. */
  readonly id: string
  /** The column, as in `webhook_secret`. */
  readonly field: string
  /** Of a previous value: which one. Its header says so, and no text without that is taken for one. */
  readonly previous?: PreviousValue
}

/** A256GCM by RFC 7518 (section 5.3): a vector of 96 bits, a tag of 128. */
const algorithm = 'aes-256-gcm'
const vectorBytes = 12
const tagBytes = 16

/**
 * Encrypts a value for its context: JWE compact serialization with a direct key, which HKDF derives from a root key for
 * this context alone. https://www.rfc-editor.org/rfc/rfc7516, https://www.rfc-editor.org/rfc/rfc5869
 */
export function encrypt(key: RootKey, context: EncryptionContext, value: Secret): string {
  const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid: key.id, ...context.previous })).toString(
    'base64url',
  )
  const vector = randomBytes(vectorBytes)
  const cipher = createCipheriv(algorithm, contentKey(key, context), vector, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.from(header))
  const ciphertext = Buffer.concat([cipher.update(value.reveal(), 'utf8'), cipher.final()])
  return [header, '', ...[vector, ciphertext, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.')
}

/**
 * Decrypts a value in its context, with the key that its header names and no other.
 *
 * @throws KEY_NOT_FOUND when the set lacks that key, DECRYPTION_FAILED when the value was changed, or belongs elsewhere
 */
export function decrypt(keys: KeySet, context: EncryptionContext, text: string): Secret {
  const { keyId: id = '', previous } = headerOf(text) ?? {}
  if (id === '' || !isSame(previous, context.previous)) throw undecryptable(context)
  const key = keys.get(id)
  if (key?.use !== 'enc')
    throw new IntegrationsError({
      code: 'KEY_NOT_FOUND',
      message: `a value is encrypted with the key ${id}, which is not in the key set`,
      hint: 'add the key to the set that INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND names',
    })
  const [header = '', , vector = '', ciphertext = '', tag = ''] = text.split('.')
  try {
    const decipher = createDecipheriv(algorithm, contentKey(key, context), Buffer.from(vector, 'base64url'), {
      authTagLength: tagBytes,
    })
    decipher.setAAD(Buffer.from(header)).setAuthTag(Buffer.from(tag, 'base64url'))
    const plaintext = Buffer.concat([decipher.update(ciphertext, 'base64url'), decipher.final()])
    return new Secret(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext))
  } catch {
    throw undecryptable(context)
  }
}

const isSame = (a: PreviousValue | undefined, b: PreviousValue | undefined) =>
  a?.number === b?.number && a?.until === b?.until

/** What HKDF extracts from each root key; extracting takes longer than the rest of a short value. */
const extracted = new WeakMap<RootKey, KeyObject>()

/** One block of HKDF-SHA256 without a salt: it has as many bytes as the key of A256GCM. */
function contentKey(key: RootKey, { id, field }: EncryptionContext): Buffer {
  const known = extracted.get(key) ?? createSecretKey(createHmac('sha256', Buffer.alloc(32)).update(key.bytes).digest())
  extracted.set(key, known)
  return createHmac('sha256', known).update(`integrations/v1\0${id}\0${field}\u0001`).digest()
}

/** The value in messages, as in "the stored webhook secret". */
export const describeStored = ({ field }: EncryptionContext): string => `the stored ${field.replaceAll('_', ' ')}`

const undecryptable = (context: EncryptionContext) =>
  decryptionFailed(
    `${describeStored(context)} cannot be decrypted: it was changed, or belongs to another row`,
    'integrations audit verify shows since when; store the value again with integrations rotate --end-previous --grace 0',
  )
