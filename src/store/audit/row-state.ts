/** What an event keeps of the row that it is about, so that a row that another program changed can be told. @module */
import type { Fingerprint, Instant } from '../../brands.ts'
import { rowHash } from '../../crypto/hmac.ts'
import type { RootKey } from '../../crypto/key-set.ts'
import type { Damageable } from '../../damage.ts'
import { secretColumns } from '../../integration.ts'
import { labelColumn, labelEntries } from '../tables/labels.ts'
import { type AuditEvent, eventHash, eventsOf } from './events.ts'
import type { StateRow } from './row-columns.ts'
import { versionColumn } from './written.ts'

/** A row without its secrets, and what is kept beside it. */
export interface RowState {
  /** The columns that hold something, as texts by their names; a long one as its keyed hash. Those of another table have its name before them. */
  readonly columns: { readonly [column: string]: string }
  /** Of an integration: the versions of its secrets that were current, or whose values were kept, when the event was recorded. */
  readonly secrets?: readonly VersionState[]
  /** Another program has put the row in: its columns are not kept, only what this one has written since. */
  readonly foreign?: true
  /** Of an integration: a keyed hash of the other versions. */
  readonly expired?: string
}

/** What is recorded of a version of a secret, by the names of the columns. */
export interface VersionState {
  readonly field: string
  readonly number: number
  readonly fingerprint: Fingerprint | null
  /** null: current */
  readonly valid_until: Instant | null
  readonly origin: string
  readonly set_at: Instant
  readonly set_by: string | null
  readonly never_expires: string
  readonly expires_at: Instant | null
}

/** A text that is longer than this is kept as its hash: a log forgets nothing. */
const maxKept = 200

/** A version of a secret as it is, and whether its value is kept. */
export type HeldVersion = VersionState & { readonly kept: boolean }

interface StateOptions {
  readonly key: RootKey
  /** Of the row, with which hashes are made. */
  readonly id: string
  /** The versions to tell one by one; the others are hashed. Else those whose values are there: a clock that is wrong must not decide. */
  readonly told?: readonly VersionState[]
}

/** The state of a row, and the versions of its secrets as they are; undefined, and not in the state, where they cannot be read. */
export function stateOf(
  { id: _, secrets: versions, labels, ...columns }: StateRow & Damageable,
  { key, id, told }: StateOptions,
): { readonly state: RowState; readonly held: readonly HeldVersion[] | undefined } {
  const kept = ([column, value]: [string, unknown]): [string, string][] => {
    if (value === null || typeof value === 'object') return []
    const text = String(value)
    return [[column, column === 'config' || text.length > maxKept ? hashOf(key, { id, column, text }) : text]]
  }
  const labelled = labelEntries(labels).map(([key, value]): [string, unknown] => [labelColumn(key), value])
  const state = { columns: Object.fromEntries([...Object.entries(columns), ...labelled].flatMap(kept)) }
  const held = heldVersions(versions)
  if (versions === null || held === undefined || held.length === 0) return { state, held }
  const isTold = (one: HeldVersion) =>
    told
      ? told.some(({ field, number }) => field === one.field && number === one.number)
      : one.valid_until === null || one.kept
  const secrets = held.filter(isTold).map(plain)
  const expired = expiredHash(
    key,
    id,
    held.filter((one) => !isTold(one)),
  )
  return { state: { ...state, secrets, ...(expired === undefined ? {} : { expired }) }, held }
}

/** What a state keeps of a long text of a row, and of a config. */
export const hashOf = (key: RootKey, { id, column, text }: { id: string; column: string; text: string }): string =>
  `hmac:${rowHash(key, [id, column, text])}`

/** The newest of some events that this program has written; undefined for none. */
export function newestEventOf(text: string | null, auditKey: RootKey): AuditEvent | undefined {
  const [newest] = eventsOf(text)
    .filter((event) => event.hash === eventHash({ auditKey }, event.previousHash, event))
    .sort((a, b) => Number(b.seq) - Number(a.seq))
  return newest
}

/** How the recorded state of a row becomes that after a change. */
interface MergeOptions {
  readonly key: RootKey
  /** Of the row. */
  readonly id: string
  /** The columns that the change has written, and versions of secrets, as `versionColumn` names them. */
  readonly written: ReadonlySet<string>
  /** The columns of the application's tables are taken as they are. */
  readonly adopted: boolean
  /** So are those of the other tables. */
  readonly isAcknowledged: boolean
}

/** The recorded state, with what was written since as it is. */
export function mergedState(
  recorded: RowState,
  { state, held }: { readonly state: RowState; readonly held: readonly HeldVersion[] },
  { key, id, written, adopted, isAcknowledged }: MergeOptions,
): RowState {
  const names = new Set([...Object.keys(recorded.columns), ...Object.keys(state.columns)])
  const columns = [...names].flatMap((name): [string, string][] => {
    const [table, column] = name.split('.')
    const isWritten = written.has(name) || (column !== undefined && written.has(`${table}.*`))
    const asItIs = isAcknowledged || isWritten || (adopted && column === undefined)
    const value = (asItIs ? state : recorded).columns[name]
    return value === undefined ? [] : [[name, value]]
  })
  const { secrets: before = [], expired } = recorded
  const isWritten = ({ field, number }: VersionState) => written.has(versionColumn(field, number))
  const isSame = (a: VersionState) => (b: VersionState) => a.field === b.field && a.number === b.number
  const counts = (one: HeldVersion) => one.valid_until === null || one.kept
  const kept = before.filter((one) => {
    if (!written.has(one.field)) return true
    const is = held.find(isSame(one))
    return !isWritten(one) && is !== undefined && counts(is)
  })
  const secrets = [...kept, ...held.filter((one) => isWritten(one) && counts(one)).map(plain)].sort(byNumber)
  const others = held.filter((one) => !secrets.some(isSame(one)))
  const isUntouched = Object.values(secretColumns).every((field) => !written.has(field))
  const rest = isUntouched ? expired : expiredHash(key, id, others)
  return {
    columns: Object.fromEntries(columns),
    ...(recorded.foreign && !isAcknowledged ? { foreign: true } : {}),
    ...(secrets.length > 0 || rest !== undefined ? { secrets } : {}),
    ...(rest === undefined ? {} : { expired: rest }),
  }
}

const byNumber = (a: VersionState, b: VersionState) =>
  a.field === b.field ? a.number - b.number : a.field < b.field ? -1 : 1

const plain = ({ kept: _, ...one }: HeldVersion): VersionState => one

const expiredHash = (key: RootKey, id: string, versions: readonly HeldVersion[]): string | undefined =>
  versions.length > 0 ? rowHash(key, [id, 'integration_secrets', JSON.stringify(versions.map(plain))]) : undefined

/** The versions that a cell tells of; undefined where one has a column that another kind of value is in. */
function heldVersions(text: string | null): HeldVersion[] | undefined {
  // A byte that belongs to no character is in it as an escape that is none of JSON's, as in `\xff`.
  const json = text?.includes('\\x') ? text.replace(/\\(.)/gs, (one, what) => (what === 'x' ? `\\${one}` : one)) : text
  try {
    return versionsOf(JSON.parse(json ?? '[]'))
  } catch {
    return undefined
  }
}

const versionsOf = (cells: [string, number | string, ...unknown[]][]): HeldVersion[] =>
  cells
    .map(([field, number, fingerprint, valid_until, origin, set_at, set_by, never_expires, expires_at, kept]) => ({
      ...({
        field,
        number: Number(number),
        fingerprint,
        valid_until,
        origin,
        set_at,
        set_by,
        never_expires,
        expires_at,
      } as VersionState),
      kept: Number(kept) === 1,
    }))
    .sort(byNumber)

/** Reads the state that an event keeps; undefined for none, or one that this program has not written. */
export function parseState(text: string | null): RowState | undefined {
  if (text === null) return undefined
  try {
    const state = JSON.parse(text) as RowState
    return typeof state.columns === 'object' ? state : undefined
  } catch {
    return undefined
  }
}
