import { IntegrationsError, keysMissing, tampered } from '../errors.ts'
import { Secret } from '../secret.ts'
import { hmacHex } from './hmac.ts'
import { decrypt, encrypt } from './jwe.ts'
import type { KeyPurpose, KeySet, RootKey } from './key-set.ts'

/** How a key may be used: one key of each purpose is active; the others decrypt what they have encrypted, until they are retired. */
export type KeyState = 'active' | 'decrypt-only' | 'retired'

/** A key as a database knows it. */
export interface KnownKey {
  readonly id: string
  readonly purpose: KeyPurpose
  readonly state: KeyState
  /** Tells the key from another of the same id. */
  readonly checkValue: string
}

/** The keys that a database is changed with. */
export interface Keyring {
  readonly keys: KeySet
  readonly encryptionKey: RootKey
  readonly fingerprintKey: RootKey
  readonly auditKey: RootKey
}

/**
 * Finds the keys of a database in a set.
 *
 * @param where the set comes from, for the message
 * @throws KEYS_MISSING when the set lacks one that is active, KEY_WRONG when it has another of the same id, DATABASE_TAMPERED
 *   when none of a purpose is active
 */
export function openKeyring(keys: KeySet, known: readonly KnownKey[], where: string): Keyring {
  for (const one of known) {
    const key = keys.get(one.id)
    if (key && one.state !== 'retired' && !isKey(key, one))
      throw new IntegrationsError({
        code: 'KEY_WRONG',
        message: `the key ${one.id} in the key set (${where}) is not the one that this database knows`,
        hint: 'name the key set that this database was made with, with INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND',
      })
  }
  const active = (purpose: KeyPurpose): RootKey => {
    const { id } = known.find((one) => one.purpose === purpose && one.state === 'active') ?? {}
    if (id === undefined)
      throw tampered(`the database has no active ${purpose} key: another program changed integration_keys`)
    const key = keys.get(id)
    if (key) return key
    throw keysMissing(
      `the key ${id} of this database is not in the key set (${where})`,
      'ask whoever has the keys of this database for the present key set, and name it with INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND',
    )
  }
  return { keys, encryptionKey: active('encryption'), fingerprintKey: active('fingerprint'), auditKey: active('audit') }
}

/** What a database keeps of a key, to know it again. */
export function checkValue(key: RootKey): string {
  return key.use === 'enc' ? encrypt(key, checkContext(key), checkPlaintext) : hmacHex(key, 'check/v1')
}

/** Whether a key of a set is the one that a database knows by this id. */
export function isKey(key: RootKey, known: KnownKey): boolean {
  if (key.use !== (known.purpose === 'encryption' ? 'enc' : 'sig')) return false
  if (key.use === 'sig') return hmacHex(key, 'check/v1') === known.checkValue
  try {
    const decrypted = decrypt(new Map([[key.id, key]]), checkContext(key), known.checkValue)
    return decrypted.reveal() === checkPlaintext.reveal()
  } catch {
    return false
  }
}

const checkPlaintext = new Secret('integrations')
const checkContext = ({ id }: RootKey) => ({ id, field: 'check' })
