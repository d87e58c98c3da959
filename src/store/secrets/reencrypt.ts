import sql from 'sql-template-tag'
import type { Keyring } from '../../crypto/keyring.ts'
import { secretColumns } from '../../integration.ts'
import type { EncryptionMode } from '../tables/keys.ts'
import { type CurrentSecret, markCleared, reconcile } from './current.ts'
import { decryptRecorded } from './decrypt.ts'
import { isAsModeAsks, type KnownVersion, type StoredValue } from './stored.ts'
import { columnValue, encryptionContext, encryptToStore, type SecretContext } from './versions.ts'

/**
 * Decrypts a stored value, and tells whether nothing is left to do about it: it is encrypted as the mode asks, and is the one
 * that was recorded.
 *
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export function isReencrypted(keyring: Keyring, mode: EncryptionMode, value: StoredValue): boolean {
  const { id, field, current, text, version } = value
  if (text === null) return version === null
  const context = { id, field: secretColumns[field] }
  // This program alone writes those before the current one.
  const decryption = { keyring, mode: current ? mode : 'required' } as const
  const { fingerprint } = decryptRecorded(decryption, { context, text, known: version })
  return isAsModeAsks(value, mode, keyring.encryptionKey.id) && (!current || fingerprint === version?.fingerprint)
}

/** What brings stored values to what the mode asks, within a transaction. */
export interface StoredValueWriter {
  /**
   * Brings a stored value to what the mode asks. A current one that the application wrote is recorded.
   *
   * @returns `settled` when it was so already, `lost` when it was written by another program since it was read
   * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
   */
  reencryptValue(value: StoredValue): Promise<'changed' | 'settled' | 'lost'>
}

/** Brings stored values to what the mode asks. */
export const storedValueWriter = (context: SecretContext): StoredValueWriter => ({
  async reencryptValue(value) {
    const { keyring, mode } = context
    const { text } = value
    const settled = isAsModeAsks(value, mode, keyring.encryptionKey.id)
    if (settled && isReencrypted(keyring, mode, value)) return 'settled'
    if (text === null) {
      if (value.version) await markCleared(context, value, value.version)
      return 'settled'
    }
    if (!value.current && value.version) return reencryptPrevious(context, value, { text, known: value.version })
    const held = await reconcile(context, value, { text, known: value.version })
    return settled ? 'settled' : reencryptCurrent(context, value, held)
  },
})

async function reencryptPrevious(
  { tx, keyring }: SecretContext,
  value: StoredValue,
  { text, known }: { readonly text: string; readonly known: KnownVersion },
): Promise<'changed' | 'lost'> {
  const context = encryptionContext(value)
  const { encryptionKey } = keyring
  const { value: opened } = decryptRecorded({ keyring, mode: 'required' }, { context, text, known })
  const sealed = encryptToStore(encryptionKey, value, opened)
  const changed = await tx.execute(sql`UPDATE integration_secrets SET sealed = ${sealed}, key_id = ${encryptionKey.id}
    WHERE ${version(value, known.number)} AND sealed = ${text}`)
  return changed === 1 ? 'changed' : 'lost'
}

async function reencryptCurrent(
  context: SecretContext,
  value: StoredValue,
  held: CurrentSecret,
): Promise<'changed' | 'lost'> {
  const { tx } = context
  const wanted = columnValue(context, value, held.value)
  if (value.keyId !== wanted.keyId) {
    const column = sql([secretColumns[value.field]])
    const changed = await tx.execute(
      sql`UPDATE integrations SET ${column} = ${wanted.text} WHERE id = ${value.id} AND ${column} = ${held.stored}`,
    )
    if (changed !== 1) return 'lost'
  }
  await tx.execute(sql`UPDATE integration_secrets SET key_id = ${wanted.keyId} WHERE ${version(value, held.number)}`)
  return 'changed'
}

const version = ({ id, field }: StoredValue, number: number) =>
  sql`integration_id = ${id} AND field = ${secretColumns[field]} AND number = ${number}`
