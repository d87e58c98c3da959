import type { KeySource } from '../../crypto/key-source.ts'
import { damageText } from '../../damage.ts'
import { is } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import { activeKeyOf, type EncryptionMode, type KeyUsage } from '../../store/tables/keys.ts'
import { counted, type Key, listKeys, unreadableKey, unreadableKeyHint } from './keys.ts'
import { countPlain } from './mode.ts'

/** How the values of a database are encrypted. */
export interface KeyStatus {
  /** null: not decided before the first change. */
  readonly mode: EncryptionMode | null
  readonly activeKey: string | null
  /** Where the key set is: a file, or the setting that names another place. */
  readonly keySet: string
  /**
   * How many current values are not encrypted. In `required`, counts the stored values (null without keys, or without
   * the right to read them); otherwise, counts the recorded versions.
   */
  readonly plain: number | null
  /** How many values of the application have not been read yet; null in `required`, where it may not write values. */
  readonly unread: number | null
  readonly keys: readonly Key[]
  /** What is wrong, and what to type. */
  readonly problems: readonly { readonly problem: string; readonly hint: string }[]
}

/** Checks whether values are encrypted as the mode asks, and whether the key set has the keys. Decrypts nothing. */
export async function keyStatus(store: Store, source: KeySource): Promise<KeyStatus> {
  const { keys, use, unusable } = await listKeys(store, source)
  const mode = await store.read((db) => db.keys.mode())
  const activeKey = activeKeyOf(keys)
  const recorded = use.find(({ keyId }) => keyId === null)?.current ?? 0
  // In `required`, the columns are not even queried without keys.
  const plain = mode !== 'required' ? recorded : unusable ? null : await plainIfPermitted(store)
  // Only in `required` is there a role that may not read secrets, nor ask whether a secret is set.
  const unread = mode === 'required' ? null : await store.read((db) => db.keys.unread())
  const problems = [...damageProblems(keys), ...encryptionProblems(mode, activeKey, use), ...keyProblems(keys, source)]
  if (mode === 'required' && plain !== null && plain > 0)
    problems.unshift({
      problem: `current values are not encrypted, although the mode is required: ${plain}`,
      hint: 'integrations audit verify names them; replace each with integrations rotate <ref> --end-previous --grace 0',
    })
  if (mode !== null && activeKey === null)
    problems.push({
      problem: 'this database has lost its active encryption key',
      hint: 'restore the table integration_keys from a backup',
    })
  // A database without keys accepts any key set, or makes one.
  if (unusable && keys.length > 0)
    problems.push({
      problem: `the key set cannot be used, so its keys were not checked: ${unusable.message}`,
      hint: unusable.hint,
    })
  return { mode, activeKey, keySet: source.name, plain, unread, keys, problems }
}

async function plainIfPermitted(store: Store): Promise<number | null> {
  try {
    return await store.snapshot(countPlain)
  } catch (error) {
    if (is(error, 'NOT_PERMITTED')) return null
    throw error
  }
}

function encryptionProblems(mode: EncryptionMode | null, activeKey: string | null, use: readonly KeyUsage[]) {
  const hint = 'integrations keys reencrypt'
  return use.flatMap((one) => {
    const { keyId, current } = one
    if (keyId === null) return []
    if (one.damage) return [{ problem: unreadableKey(one), hint: unreadableKeyHint }]
    if (keyId !== activeKey)
      return [{ problem: `values are encrypted with the key ${keyId}, which is not active: ${counted(one)}`, hint }]
    if (mode === 'off' && current > 0)
      return [
        {
          problem: `current values are encrypted, so the application cannot read them: ${current}`,
          hint: `${hint} --decrypt`,
        },
      ]
    return []
  })
}

function damageProblems(keys: readonly Key[]) {
  return keys.flatMap(({ id, damage }) =>
    damage ? [{ problem: damageText(id, damage), hint: 'restore the table integration_keys from a backup' }] : [],
  )
}

const keyProblems = (keys: readonly Key[], source: KeySource) =>
  keys
    .filter(({ state, inKeySet }) => state !== 'retired' && inKeySet === false)
    .map(({ id }) => ({
      problem: `the key ${id} is not in the key set (${source.name}), or another key has its id`,
      hint: 'ask whoever added the key for the present key set: integrations audit list --action keys',
    }))
