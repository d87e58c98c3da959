import { counted, type Key, type KeyChange, listKeys } from '../../operations/keys/keys.ts'
import type { Reencryption } from '../../operations/keys/reencrypt.ts'
import type { KeyStatus } from '../../operations/keys/status.ts'
import type { EncryptionMode } from '../../store/tables/keys.ts'
import type { Context } from '../context.ts'
import type { Cell, Tone } from '../output/tone.ts'
import type { Answer, Column, View } from '../output/values.ts'
import { ago, value } from './cells.ts'
import { readAfterChange } from './changes.ts'

const states: Record<Key['state'], Tone> = { active: 'good', 'decrypt-only': 'plain', retired: 'dim' }

function inKeySetCell({ inKeySet, state }: Pick<Key, 'inKeySet' | 'state'>): Cell {
  if (inKeySet === null) return ['unknown', 'warn']
  return inKeySet ? ['yes', 'good'] : ['no', state === 'retired' ? 'dim' : 'bad']
}

/** A key as it is shown; null: how many values it encrypts could not be read. */
type ShownKey = Omit<Key, 'current' | 'previous' | 'apps'> & {
  readonly [C in 'current' | 'previous' | 'apps']: number | null
}

/** How keys are shown. */
export const keyView: View<ShownKey> = {
  columns: [
    value('id'),
    value('purpose'),
    { field: 'state', value: (row) => row.state, cell: (row) => [row.state, states[row.state] ?? 'bad'] },
    ago('createdAt', 'created'),
    value('current'),
    value('previous'),
    value('apps'),
    { field: 'inKeySet', head: 'in set', value: (row) => row.inKeySet, cell: inKeySetCell },
  ],
  short: ['id', 'purpose', 'state', 'createdAt', 'current', 'previous', 'inKeySet'],
  essential: ['id', 'state', 'inKeySet', 'current', 'previous', 'createdAt'],
  id: (row) => row.id,
}

const of = <Row>(view: View<Row>, row: Row) =>
  Object.fromEntries(view.columns.map(({ field, value }) => [field, value(row)]))

const number = (field: 'plain' | 'unread', what: string): Column<KeyStatus> => ({
  field,
  value: (row) => row[field],
  cell: (row) => (row[field] === null ? ['not counted', 'dim'] : [`${row[field]} ${what}`, 'plain']),
})

const keys: Column<KeyStatus> = {
  field: 'keys',
  value: (row) => row.keys.map((key) => of(keyView, key)),
  cell: (row) => [
    row.keys
      .filter(({ purpose }) => purpose === 'encryption')
      .map((key) => `${key.id} (${key.state}): ${counted(key)}`)
      .join('; '),
    'plain',
  ],
}

/** What is said of a database whose encryption mode is not decided yet. */
export const undecided =
  'the mode is undecided, and there are no keys: the first change generates keys and decides the mode'

const mode: Column<{ readonly mode: EncryptionMode | null }> = {
  field: 'mode',
  value: (row) => row.mode,
  cell: (row) => (row.mode === null ? ['undecided', 'dim'] : [row.mode, 'plain']),
}

/** How the encryption of a database is shown. */
export const keyStatusView: View<KeyStatus> = {
  columns: [
    mode,
    value('activeKey'),
    keys,
    number('plain', 'current values'),
    number('unread', 'values of the application'),
    {
      field: 'problems',
      value: (row) => row.problems.map(({ problem, hint }) => ({ problem, hint })),
      cell: (row) => (row.problems.length === 0 ? ['none', 'good'] : [`${row.problems.length}`, 'bad']),
    },
    value('keySet'),
  ],
  short: ['mode', 'activeKey', 'plain', 'unread', 'problems', 'keySet'],
  id: (row) => row.activeKey ?? '',
}

/** How a re-encryption is shown. */
export const reencryptionView: View<Reencryption> = {
  columns: [
    mode,
    value('keyId'),
    value('changed'),
    {
      field: 'undecryptable',
      value: (row) => row.undecryptable.map(({ id, name, field, error }) => ({ id, name, field, code: error.code })),
      cell: (row) => [`${row.undecryptable.length}`, row.undecryptable.length === 0 ? 'plain' : 'bad'],
    },
  ],
  short: ['mode', 'keyId', 'changed'],
  id: (row) => row.keyId ?? '',
}

/** How an encryption mode is shown. */
export const modeView: View<{ readonly mode: EncryptionMode | null }> = {
  columns: [mode],
  short: ['mode'],
  id: (row) => row.mode ?? 'undecided',
}

/** Answers a change of a key with what the key is now, or after a dry run would be. */
export async function answerKeyChange(ctx: Context, { key }: KeyChange, answer: Answer): Promise<void> {
  const listed = await readAfterChange(ctx, async () => listKeys(await ctx.store(), ctx.keys()), undefined)
  const unknown = { current: null, previous: null, apps: null, inKeySet: null }
  // A key that is still to be added encrypts nothing.
  const none = { current: 0, previous: 0, apps: 0, inKeySet: false }
  const found = listed ? (listed.keys.find(({ id }) => id === key.id) ?? none) : unknown
  const { current, previous, apps, inKeySet } = found
  await ctx.output.change(keyView, { ...key, current, previous, apps, inKeySet }, answer)
}
