import type { KeySource } from '../../crypto/key-source.ts'
import { is } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { EncryptionMode, KeyUsage } from '../../store/tables/keys.ts'
import { counted, type Key, listKeys } from './keys.ts'
import { countPlain } from './mode.ts'

/** How the values of a database are sealed. */
export interface KeyStatus {
  /** null: not decided yet, which the first change does. */
  readonly mode: EncryptionMode | null
  readonly activeKey: string | null
  /**
   * How many current values nothing seals: in `required`, as they are stored, null without keys or where these may not be read; else
   * those of which the version is known.
   */
  readonly plain: number | null
  /** How many values the application has written that nobody has read yet; null in `required`, where it may write none. */
  readonly unread: number | null
  readonly keys: readonly Key[]
  /** What is not as it should be, and what to type. */
  readonly problems: readonly { readonly problem: string; readonly hint: string }[]
}

/** Looks whether the values of a database are sealed as they should be, and whether its keys are in the set. Opens none. */
export async function keyStatus(store: Store, source: KeySource): Promise<KeyStatus> {
  const { keys, use, unusable } = await listKeys(store, source)
  const { mode } = await store.read((db) => db.keys.settings())
  const activeKey = keys.find(({ purpose, state }) => purpose === 'encryption' && state === 'active')?.id ?? null
  const recorded = use.find(({ keyId }) => keyId === null)?.current ?? 0
  // In `required`, who has no keys does not as much as ask what the columns hold.
  const plain = mode !== 'required' ? recorded : unusable ? null : await plainIfPermitted(store)
  // Who may not read secrets may not ask whether there is one either; in `required` that is a role of its own.
  const unread = mode === 'required' ? null : await store.read((db) => db.keys.unread())
  const problems = [...sealingProblems(mode, activeKey, use), ...keyProblems(keys, source)]
  if (mode === 'required' && plain !== null && plain > 0)
    problems.unshift({
      problem: `current values are not sealed, which this database demands: ${plain}`,
      hint: 'find out who wrote them: integrations audit verify; then integrations rotate --force --grace 0',
    })
  if (mode !== null && activeKey === null)
    problems.push({
      problem: 'this database knows no key that seals, though it has had one',
      hint: 'restore its table integration_keys from a backup',
    })
  // One that knows no key takes whatever there is, or makes it.
  if (unusable && keys.length > 0)
    problems.push({
      problem: `the key set cannot be used, and whether it is the right one is not known: ${unusable.message}`,
      hint: unusable.hint,
    })
  return { mode, activeKey, plain, unread, keys, problems }
}

async function plainIfPermitted(store: Store): Promise<number | null> {
  try {
    return await store.snapshot(countPlain)
  } catch (error) {
    if (is(error, 'NOT_PERMITTED')) return null
    throw error
  }
}

function sealingProblems(mode: EncryptionMode | null, activeKey: string | null, use: readonly KeyUsage[]) {
  const hint = 'integrations keys reencrypt'
  return use.flatMap((one) => {
    const { keyId, current } = one
    if (keyId === null) return []
    if (keyId !== activeKey)
      return [
        {
          problem: `the key ${keyId}, which is not active, seals values: ${counted(one)}`,
          hint,
        },
      ]
    if (mode === 'off' && current > 0)
      return [{ problem: `current values are sealed, which the application cannot read: ${current}`, hint }]
    return []
  })
}

const keyProblems = (keys: readonly Key[], source: KeySource) =>
  keys
    .filter(({ state, inKeySet }) => state !== 'retired' && inKeySet === false)
    .map(({ id }) => ({
      problem: `the key ${id} is not in the key set (${source.name}), or another is there by its id`,
      hint: 'restore it there from a backup, or from a machine that has it',
    }))
