/** What an event keeps of the row that it is about, so that a row that another program changed can be told. @module */
import sql, { empty, join } from 'sql-template-tag'
import type { Fingerprint, Instant } from '../../brands.ts'
import { rowHash } from '../../crypto/hmac.ts'
import type { RootKey } from '../../crypto/key-set.ts'
import type { Damageable } from '../../damage.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns, Statements } from '../database/statements.ts'
import { eventHash, eventsOf, eventTexts, newestEvent } from '../tables/events.ts'
import { type StatefulType, type StateRow, stateSources } from './row-columns.ts'
import { versionColumn, type WrittenColumns } from './written.ts'

/** A row without its secrets, and what is kept beside it. */
export interface RowState {
  /** The columns that hold something, as texts by their names; a long one as its keyed hash. Those of another table have its name before them. */
  readonly columns: { readonly [column: string]: string }
  /** Of an integration: the versions of its secrets that were current, or whose values were kept, when the event was recorded. */
  readonly secrets?: readonly VersionState[]
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

/** A row beside what its newest event keeps of it. */
export interface ComparedRow {
  readonly id: string
  /** Of the row; where it has none, as the event says. */
  readonly name: string
  /** The columns that differ; `undefined` where no event keeps the state of the row. */
  readonly differences: readonly string[] | undefined
  /** The number of its newest event; undefined for none. */
  readonly event: bigint | undefined
}

/** What is read of the state of rows. */
export interface StateReader {
  /**
   * The states of rows after a change, by id: what it has written as it is, and the rest as the newest event about the row
   * keeps it, so that what another program changed stays a difference.
   */
  after(type: StatefulType, ids: readonly string[], options: AfterOptions): Promise<Map<string, RowState>>
  /**
   * Every row of a type beside its newest event, in the order of the ids.
   *
   * @param options `key`: the audit key; `now`: by which previous values are needed
   */
  compare(
    type: StatefulType,
    options: { readonly key: RootKey; readonly now: Date },
  ): AsyncIterable<readonly ComparedRow[]>
  /** The next rows in the order of their ids, after one, whose state no event keeps. */
  unrecorded(type: StatefulType, limit: number, after?: string): Promise<readonly Pick<ComparedRow, 'id' | 'name'>[]>
  /** The rows that are gone, though their newest events keep a state of them. */
  removed(type: StatefulType): Promise<readonly Pick<ComparedRow, 'id' | 'name'>[]>
}

/** How the states of rows after a change are told. */
export interface AfterOptions {
  /** The audit key. */
  readonly key: RootKey
  readonly written: WrittenColumns
  /** The rows to be taken as they are. */
  readonly asTheyAre: ReadonlySet<string>
  /** The columns of the application's tables are to be taken as they are: it may write them. */
  readonly adopted: boolean
}

/** How many events about a row are read to find one that this program has written: others may stand among them. */
const newestEvents = 3

/** Beyond the head row's, too: the log may have been rolled back. */
const anyNumber = sql`9223372036854775807`

/** How many rows are read at a time. */
const rowsAtOnce = 100

/** A text that is longer than this is kept as its hash: a log forgets nothing. */
const maxKept = 200

/** Reads the state of rows. */
export function stateReader(db: Statements, dialect: Dialect): StateReader {
  const sources = stateSources(dialect)
  return {
    async after(type, ids, { key, written, asTheyAre, adopted }) {
      const { columns, from, id } = sources[type]
      const events = dialect.jsonRows(
        Object.values(eventTexts(dialect)),
        sql`integration_events e WHERE e.seq IN (SELECT x.seq FROM integration_events x WHERE x.target_id = ${id} AND x.target_type = ${type}
          AND x.seq <= (SELECT h.seq FROM integration_settings h WHERE h.key = 'head') ORDER BY x.seq DESC LIMIT ${newestEvents})`,
      )
      const states = new Map<string, RowState>()
      for (let i = 0; i < ids.length; i += rowsAtOnce) {
        const some = ids.slice(i, i + rowsAtOnce)
        const rows = await db.queryAll<StateRow & { readonly events: string | null }>(
          { ...columns, events },
          sql`FROM ${from} WHERE ${id} IN (${join(some)})`,
        )
        for (const { events: recent, ...row } of rows) {
          const now = stateOf(row as StateRow, { key, id: row.id })
          const recorded = asTheyAre.has(row.id) ? undefined : newestState(recent, key)
          states.set(
            row.id,
            recorded
              ? merged(recorded, now, { key, id: row.id, written: written.of(type, row.id), adopted })
              : now.state,
          )
        }
      }
      return states
    },
    async *compare(type, { key, now }) {
      const { columns, title, from, id } = sources[type]
      const withEvent: Columns<StateRow & EventRow> = {
        ...columns,
        title,
        event: dialect.whole(sql`e.seq`),
        recordedState: sql`e.state`,
      }
      for (let after: string | undefined; ; ) {
        const rows = await db.queryAll(
          withEvent,
          sql`FROM ${from} LEFT JOIN integration_events e ON e.seq = ${newestEvent(type, id, anyNumber)}
            ${after === undefined ? empty : sql`WHERE ${dialect.binaryOrder(id)} > ${after}`}
            ORDER BY ${dialect.binaryOrder(id)} LIMIT ${rowsAtOnce}`,
        )
        yield rows.map((row) => compared(row, key, now))
        after = rows.findLast(({ damage }) => !damage?.includes('id'))?.id
        if (rows.length < rowsAtOnce || after === undefined) return
      }
    },
    unrecorded(type, limit, after) {
      const { title, from, id } = sources[type]
      return db.queryAll<Pick<ComparedRow, 'id' | 'name'>>(
        { id, name: sql`coalesce(${title}, ${id})` },
        sql`FROM ${from} LEFT JOIN integration_events e ON e.seq = ${newestEvent(type, id)}
          WHERE e.state IS NULL ${after === undefined ? empty : sql`AND ${dialect.binaryOrder(id)} > ${after}`}
          ORDER BY ${dialect.binaryOrder(id)} LIMIT ${limit}`,
      )
    },
    async removed(type) {
      const { from, id } = sources[type]
      return await db.queryAll<Pick<ComparedRow, 'id' | 'name'>>(
        { id: sql`e.target_id`, name: sql`coalesce(e.target_name, e.target_id)` },
        sql`FROM integration_events e WHERE e.target_type = ${type} AND e.state IS NOT NULL
          AND e.seq = ${newestEvent(type, sql`e.target_id`, anyNumber)} AND NOT EXISTS (SELECT 1 FROM ${from} WHERE ${id} = e.target_id)
          ORDER BY e.seq`,
      )
    },
  }
}

interface EventRow {
  /** What people know the row by. */
  readonly title: string | null
  readonly event: number | bigint | string | null
  readonly recordedState: string | null
}

/** A version of a secret as it is, and whether its value is kept. */
type HeldVersion = VersionState & { readonly kept: boolean }

interface StateOptions {
  readonly key: RootKey
  /** Of the row, with which hashes are made. */
  readonly id: string
  /** The versions to tell one by one; the others are hashed. Else those whose values are there: a clock that is wrong must not decide. */
  readonly told?: readonly VersionState[]
}

/** The state of a row, and the versions of its secrets as they are. */
function stateOf(
  { id: _, secrets: versions, ...columns }: StateRow & Damageable,
  { key, id, told }: StateOptions,
): { readonly state: RowState; readonly held: readonly HeldVersion[] } {
  const kept = ([column, value]: [string, unknown]): [string, string][] => {
    if (value === null || typeof value === 'object') return []
    const text = String(value)
    return [[column, column === 'config' || text.length > maxKept ? `hmac:${rowHash(key, [id, column, text])}` : text]]
  }
  const state = { columns: Object.fromEntries(Object.entries(columns).flatMap(kept)) }
  const held = heldVersions(versions)
  if (versions === null || held.length === 0) return { state, held }
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

/** What the newest of some events that this program has written keeps. */
function newestState(text: string | null, auditKey: RootKey): RowState | undefined {
  const newest = eventsOf(text)
    .filter((event) => event.hash === eventHash({ auditKey }, event.previousHash, event))
    .sort((a, b) => Number(b.seq) - Number(a.seq))[0]
  return parseState(newest?.state ?? null)
}

interface MergeOptions extends Pick<AfterOptions, 'key' | 'adopted'> {
  readonly id: string
  readonly written: ReadonlySet<string>
}

/** The recorded state, with what was written since as it is. */
function merged(
  recorded: RowState,
  { state, held }: ReturnType<typeof stateOf>,
  { key, id, written, adopted }: MergeOptions,
): RowState {
  const names = new Set([...Object.keys(recorded.columns), ...Object.keys(state.columns)])
  const columns = [...names].flatMap((name): [string, string][] => {
    const [table, column] = name.split('.')
    const asItIs = column === undefined ? adopted || written.has(name) : written.has(name) || written.has(`${table}.*`)
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
  const untouched = before.every(({ field }) => !written.has(field)) && secrets.length === before.length
  const rest = untouched ? expired : expiredHash(key, id, others)
  return {
    columns: Object.fromEntries(columns),
    ...(secrets.length > 0 || rest !== undefined ? { secrets } : {}),
    ...(rest === undefined ? {} : { expired: rest }),
  }
}

const byNumber = (a: VersionState, b: VersionState) =>
  a.field === b.field ? a.number - b.number : a.field < b.field ? -1 : 1

const plain = ({ kept: _, ...one }: HeldVersion): VersionState => one

const expiredHash = (key: RootKey, id: string, versions: readonly HeldVersion[]): string | undefined =>
  versions.length > 0 ? rowHash(key, [id, 'integration_secrets', JSON.stringify(versions.map(plain))]) : undefined

const heldVersions = (text: string | null): HeldVersion[] =>
  (JSON.parse(text ?? '[]') as [string, number | string, ...unknown[]][])
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

function compared(row: StateRow & EventRow & Damageable, key: RootKey, now: Date): ComparedRow {
  const { title, event, recordedState, ...columns } = row
  const { id } = row
  const recorded = parseState(recordedState)
  const told = { id, name: title ?? id, event: event === null ? undefined : BigInt(event) }
  if (!recorded) return { ...told, differences: undefined }
  const { secrets = [] } = recorded
  const { state, held } = stateOf(columns as StateRow, { key, id, told: secrets })
  const names = new Set([...Object.keys(recorded.columns), ...Object.keys(state.columns)])
  const differences = [...names].filter((column) => recorded.columns[column] !== state.columns[column])
  for (const was of secrets) {
    const is = held.find(({ field, number }) => field === was.field && number === was.number)
    differences.push(
      ...versionDifferences(was, is, now).map((column) => `integration_secrets.${column} (${was.field} ${was.number})`),
    )
  }
  const revived = held.filter(
    (one) => !secrets.some(({ field, number }) => field === one.field && number === one.number) && isNeeded(one, now),
  )
  differences.push(...revived.map(({ field, number }) => `integration_secrets.valid_until (${field} ${number})`))
  if (revived.length === 0 && recorded.expired !== state.expired) differences.push('integration_secrets')
  return { ...told, differences }
}

function versionDifferences(was: VersionState, is: HeldVersion | undefined, now: Date): string[] {
  if (!is) return ['number']
  const columns = (Object.keys(was) as (keyof VersionState)[]).filter((column) => was[column] !== is[column])
  const isGone = was.valid_until !== null && was.valid_until > now.toISOString() && !is.kept
  return isGone ? [...columns, 'sealed'] : columns
}

/** Whether a version would be taken for current or accepted. */
const isNeeded = ({ valid_until, kept }: HeldVersion, now: Date) =>
  valid_until === null || (kept && valid_until > now.toISOString())
