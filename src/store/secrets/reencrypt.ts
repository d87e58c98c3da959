import sql from 'sql-template-tag'
import type { Vault } from '../../crypto/keyring.ts'
import { secretColumns } from '../../integration.ts'
import type { Transaction } from '../database/statements.ts'
import type { FingerprintChanges } from '../tables/fingerprints.ts'
import type { SealingMode } from '../tables/keys.ts'
import type { secretChanges } from './changes.ts'
import { openKnown } from './decrypt.ts'
import { isSettled, type KnownVersion, type StoredValue } from './stored.ts'

/**
 * Opens a stored value, and tells whether nothing is left to do about it: it is sealed as the mode asks, and is the one
 * that was recorded.
 *
 * @throws SEAL_BROKEN, KEY_UNKNOWN
 */
export async function isFinished(vault: Vault, mode: SealingMode, value: StoredValue): Promise<boolean> {
  const { id, field, current, text, version } = value
  if (text === null) return version === null
  const cell = { id, field: secretColumns[field] }
  // This program alone writes those before the current one.
  const { fingerprint } = await openKnown(vault, current ? mode : 'required', cell, text, version)
  return isSettled(value, mode, vault.sealing.id) && (!current || fingerprint === version?.fingerprint)
}

/** What brings stored values to what the mode asks, within a transaction. */
export function storedValueChanges(
  tx: Transaction,
  { vault, mode, secrets }: { vault: Vault; mode: SealingMode; secrets: ReturnType<typeof secretChanges> },
) {
  const version = ({ id, field }: StoredValue, number: number) =>
    sql`integration_id = ${id} AND field = ${secretColumns[field]} AND number = ${number}`

  async function settlePrevious(value: StoredValue, known: KnownVersion, text: string): Promise<boolean> {
    const sealed = await secrets.resealed(value.id, value.field, text, known)
    const changed = await tx.execute(sql`UPDATE integration_secrets SET sealed = ${sealed}, key_id = ${vault.sealing.id}
      WHERE ${version(value, known.number)} AND sealed = ${text}`)
    return changed === 1
  }

  return {
    /**
     * Brings a stored value to what the mode asks. A current one that the application wrote is recorded.
     *
     * @param noticed is told the fingerprints of what was not known
     * @returns `settled` when it was so already, `lost` when it was written by somebody else since it was read
     * @throws SEAL_BROKEN, KEY_UNKNOWN
     */
    async settle(
      value: StoredValue,
      noticed: (changes: FingerprintChanges) => void,
    ): Promise<'changed' | 'settled' | 'lost'> {
      const { id, field, text } = value
      const settled = isSettled(value, mode, vault.sealing.id)
      if (settled && (await isFinished(vault, mode, value))) return 'settled'
      if (text === null) {
        await secrets.cleared(id, field)
        noticed([{ field: secretColumns[field], from: value.version?.fingerprint ?? null, to: null }])
        return 'settled'
      }
      if (!value.current && value.version)
        return (await settlePrevious(value, value.version, text)) ? 'changed' : 'lost'
      const held = await secrets.hold(id, field, text, value.version, noticed)
      if (settled) return 'settled'
      const wanted = await secrets.storable(id, field, held.value)
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
