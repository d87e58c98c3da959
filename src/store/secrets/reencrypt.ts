import sql from 'sql-template-tag'
import type { Keyring } from '../../crypto/keyring.ts'
import { secretColumns } from '../../integration.ts'
import type { WritableStatements } from '../database/statements.ts'
import type { EncryptionMode } from '../tables/keys.ts'
import type { secretChanges } from './changes.ts'
import { decryptRecorded } from './decrypt.ts'
import { isAsModeAsks, type KnownVersion, type StoredValue } from './stored.ts'

/**
 * Opens a stored value, and tells whether nothing is left to do about it: it is sealed as the mode asks, and is the one
 * that was recorded.
 *
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function isReencrypted(vault: Keyring, mode: EncryptionMode, value: StoredValue): Promise<boolean> {
  const { id, field, current, text, version } = value
  if (text === null) return version === null
  const cell = { id, field: secretColumns[field] }
  // This program alone writes those before the current one.
  const { fingerprint } = await decryptRecorded(vault, current ? mode : 'required', cell, text, version)
  return isAsModeAsks(value, mode, vault.encryptionKey.id) && (!current || fingerprint === version?.fingerprint)
}

/** What brings stored values to what the mode asks, within a transaction. */
export function storedValueChanges(
  tx: WritableStatements,
  { vault, mode, secrets }: { vault: Keyring; mode: EncryptionMode; secrets: ReturnType<typeof secretChanges> },
) {
  const version = ({ id, field }: StoredValue, number: number) =>
    sql`integration_id = ${id} AND field = ${secretColumns[field]} AND number = ${number}`

  async function reencryptPrevious(value: StoredValue, known: KnownVersion, text: string): Promise<boolean> {
    const sealed = await secrets.reencrypt(value.id, value.field, text, known)
    const changed =
      await tx.execute(sql`UPDATE integration_secrets SET sealed = ${sealed}, key_id = ${vault.encryptionKey.id}
      WHERE ${version(value, known.number)} AND sealed = ${text}`)
    return changed === 1
  }

  return {
    /**
     * Brings a stored value to what the mode asks. A current one that the application wrote is recorded.
     *
     * @returns `settled` when it was so already, `lost` when it was written by somebody else since it was read
     * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
     */
    async reencryptValue(value: StoredValue): Promise<'changed' | 'settled' | 'lost'> {
      const { id, field, text } = value
      const settled = isAsModeAsks(value, mode, vault.encryptionKey.id)
      if (settled && (await isReencrypted(vault, mode, value))) return 'settled'
      if (text === null) {
        await secrets.markCleared(id, field, value.version)
        return 'settled'
      }
      if (!value.current && value.version)
        return (await reencryptPrevious(value, value.version, text)) ? 'changed' : 'lost'
      const held = await secrets.reconcile(id, field, text, value.version)
      if (settled) return 'settled'
      const wanted = await secrets.columnValue(id, field, held.value)
      if (value.keyId !== wanted.keyId) {
        const column = sql([secretColumns[field]])
        const changed = await tx.execute(
          sql`UPDATE integrations SET ${column} = ${wanted.text} WHERE id = ${id} AND ${column} = ${text}`,
        )
        if (changed !== 1) return 'lost'
      }
      await tx.execute(
        sql`UPDATE integration_secrets SET key_id = ${wanted.keyId} WHERE ${version(value, held.number)}`,
      )
      return 'changed'
    },
  }
}
