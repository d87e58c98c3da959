import { conflict } from '../../errors.ts'
import type { Reader, Store, Transaction } from '../../store/store.ts'
import { type EncryptionMode, modes } from '../../store/tables/keys.ts'
import type { DryRun } from '../change.ts'

/** A change of the encryption mode. */
export interface ModeChange {
  readonly before: EncryptionMode
  readonly mode: EncryptionMode
}

/**
 * Changes the encryption mode by one step; stored values stay as they are.
 *
 * @throws NOT_PERMITTED, CONFLICT for two steps at once, and for `required` while a value is not encrypted
 */
export const changeMode = (store: Store, mode: EncryptionMode, options: DryRun): Promise<ModeChange> =>
  store.mutate(async (tx) => {
    await tx.keys.requireAdmin()
    const before = tx.settings.mode
    if (mode === before) return { before, mode }
    if (Math.abs(modes.indexOf(mode) - modes.indexOf(before)) > 1)
      throw conflict(
        `cannot go from ${before} to ${mode} directly; use migrating first`,
        'integrations keys mode migrating',
      )
    if (mode === 'required') await requireEncrypted(tx)
    await tx.keys.setMode(mode, tx.now)
    await tx.record({
      action: 'keys.mode',
      target: { type: 'database', id: tx.settings.id, name: null },
      fields: [`${before}>${mode}`],
    })
    return { before, mode }
  }, options)

async function requireEncrypted(tx: Transaction): Promise<void> {
  const plain = await countPlain(tx)
  if (plain > 0) throw conflict(`values are not encrypted yet: ${plain}`, 'integrations keys reencrypt')
}

/** How many stored values are not encrypted. */
export async function countPlain(db: Reader): Promise<number> {
  let plain = 0
  for await (const { values } of db.storedValues.pages())
    plain += values.filter(({ text, keyId }) => text !== null && keyId === null).length
  return plain
}
