import sql, { empty, join, type Sql } from 'sql-template-tag'
import type { RootKey } from '../../crypto/key-set.ts'
import { type Damageable, damaged } from '../../damage.ts'
import { firstRows, nextRows, rowsPerPage } from '../database/cells.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns, Statements } from '../database/statements.ts'
import { isLabelColumn } from '../tables/labels.ts'
import { eventTexts, newestEvent } from './events.ts'
import { type StatefulType, type StateRow, type StateSource, stateSources } from './row-columns.ts'
import {
  type HeldVersion,
  mergedState,
  newestEventOf,
  parseState,
  type RowState,
  stateOf,
  type VersionState,
} from './row-state.ts'
import { type WrittenColumns, wholeRow } from './written.ts'

/** A row beside what its newest event keeps of it. */
export interface ComparedRow {
  readonly id: string
  /** Of the row; where it has none, as the event says. */
  readonly name: string
  /** The columns that differ; `undefined` where no event keeps the state of the row. */
  readonly differences: readonly string[] | undefined
  /** The number of its newest event; undefined for none. */
  readonly event: bigint | undefined
  /** No event tells that this program has put it in. */
  readonly isForeign: boolean
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
  /**
   * Those of the next rows, in the order of their ids, whose state no event keeps though it may: an application's, and those
   * that a version before has changed last. One that another program has put into tables of ours is none of them.
   *
   * @param options `limit`: how many rows are looked at; `after`: the id before them
   * @returns `next`: the id to go on after; undefined at the end
   */
  unrecorded(
    type: StatefulType,
    options: { readonly adopted: boolean; readonly limit: number; readonly after: string | undefined },
  ): Promise<{ readonly rows: readonly Pick<ComparedRow, 'id' | 'name'>[]; readonly next: string | undefined }>
  /** The rows that are gone, though their newest events keep a state of them. */
  removed(type: StatefulType): AsyncIterable<readonly Pick<ComparedRow, 'id' | 'name'>[]>
}

/** How the states of rows after a change are told. */
export interface AfterOptions {
  /** The audit key. */
  readonly key: RootKey
  readonly written: WrittenColumns
  /** The rows to be taken as they are. One that cannot be read whole has no state. */
  readonly asTheyAre: ReadonlySet<string>
  /** The rows whose columns are to be taken as they are, but not their secrets. */
  readonly acknowledged: ReadonlySet<string>
  /** The columns of the application's tables are to be taken as they are: it may write them. */
  readonly adopted: boolean
}

/** How many events about a row are read to find one that this program has written: others may stand among them. */
const newestEvents = 3

/** Beyond the head row's, too: the log may have been rolled back. */
const anyNumber = sql`9223372036854775807`

/** How many rows are read at a time. */
const rowsAtOnce = 100

/** Reads the state of rows. */
export function stateReader(db: Statements, dialect: Dialect): StateReader {
  const sources = stateSources(dialect)
  return {
    async after(type, ids, { key, written, asTheyAre, acknowledged, adopted }) {
      const { columns, table, joins, id } = sources[type]
      const events = dialect.jsonRows(
        Object.values(eventTexts(dialect)),
        // SQLite would walk through the whole log for "seq IN" the same.
        sql`(SELECT x.* FROM integration_events x WHERE x.target_id = ${id} AND x.target_type = ${type}
          AND x.seq <= (SELECT h.seq FROM integration_settings h WHERE h.key = 'head') ORDER BY x.seq DESC LIMIT ${newestEvents}) e`,
      )
      const states = new Map<string, RowState>()
      const stateAfter = (row: StateRow, recent: string | null) => {
        const { state: now, held } = stateOf(row, { key, id: row.id })
        if (!held) {
          if (asTheyAre.has(row.id)) return undefined
          throw damaged(row.id, ['integration_secrets'])
        }
        const changed = written.of(type, row.id)
        const newest = asTheyAre.has(row.id) || changed.has(wholeRow) ? undefined : newestEventOf(recent, key)
        const recorded = parseState(newest?.state ?? null)
        const options = { key, id: row.id, written: changed, adopted, isAcknowledged: acknowledged.has(row.id) }
        if (recorded) return mergedState(recorded, { state: now, held }, options)
        // The application may put rows in, and a version before kept no states.
        const isOurs = adopted || asTheyAre.has(row.id) || changed.has(wholeRow) || newest?.format === null
        return isOurs ? now : mergedState({ columns: {}, foreign: true }, { state: now, held }, options)
      }
      for (let i = 0; i < ids.length; i += rowsAtOnce) {
        // The rows may be too long to be read at once.
        for (let left = ids.slice(i, i + rowsAtOnce); left.length > 0; ) {
          const { rows, after } = await db.queryPage<StateRow & { readonly events: string | null }>(
            { ...columns, events },
            sql`FROM ${table} ${joins} WHERE ${id} IN (${join(left)})`,
          )
          left = after > 0 ? left.filter((one) => rows.every((row) => row.id !== one)) : []
          for (const { events: recent, ...row } of rows) {
            const state = stateAfter(row as StateRow, recent)
            if (state) states.set(row.id, state)
          }
        }
      }
      return states
    },
    async *compare(type, { key, now }) {
      const { columns, title, id } = sources[type]
      const withEvent: Columns<StateRow & EventRow> = {
        ...columns,
        title,
        event: dialect.whole(sql`e.seq`),
        format: dialect.asText(sql`e.format`),
        recordedState: sql`e.state`,
      }
      for (let after: string | undefined, size = firstRows; ; ) {
        const page = await db.queryPage(
          withEvent,
          withNewest(sources[type], { newest: newestEvent(type, id, anyNumber), after, size }),
        )
        yield page.rows.map((row) => compared(row, key, now))
        after = lastId(page.rows)
        if ((page.after === 0 && page.rows.length < size) || after === undefined) return
        size = nextRows(page, rowsPerPage)
      }
    },
    async unrecorded(type, { adopted, limit, after }) {
      const { title, id } = sources[type]
      const isUnrecorded = adopted ? sql`e.state IS NULL` : sql`e.seq IS NOT NULL AND e.format IS NULL`
      const page = await db.queryAll<Pick<ComparedRow, 'id' | 'name'> & { readonly unrecorded: number | bigint }>(
        { id, name: sql`coalesce(${title}, ${id})`, unrecorded: sql`CASE WHEN ${isUnrecorded} THEN 1 ELSE 0 END` },
        withNewest(sources[type], { newest: newestEvent(type, id), after, size: limit }),
      )
      const rows = page.filter(({ unrecorded }) => Number(unrecorded) === 1)
      return { rows, next: page.length < limit ? undefined : lastId(page) }
    },
    async *removed(type) {
      const { table, id } = sources[type]
      for (let after = 0n; ; ) {
        const rows = await db.queryAll<Pick<ComparedRow, 'id' | 'name'> & { readonly seq: number | bigint | string }>(
          { id: sql`e.target_id`, name: sql`coalesce(e.target_name, e.target_id)`, seq: dialect.whole(sql`e.seq`) },
          sql`FROM integration_events e WHERE e.seq > ${after} AND e.target_type = ${type} AND e.state IS NOT NULL
            AND NOT ${dialect.isMalformed('whole', sql`e.seq`)} AND e.seq = ${newestEvent(type, sql`e.target_id`, anyNumber)} AND NOT EXISTS (SELECT 1 FROM ${table} WHERE ${id} = e.target_id)
            ORDER BY e.seq LIMIT ${rowsAtOnce}`,
        )
        yield rows
        after = BigInt(rows.at(-1)?.seq ?? 0)
        if (rows.length < rowsAtOnce) return
      }
    },
  }
}

/** The next rows in the order of their ids, each with its newest event (`e`). In that order, and without a condition, they are found by an index. */
const withNewest = (
  { table, joins, id }: StateSource,
  { newest, after, size }: { readonly newest: Sql; readonly after: string | undefined; readonly size: number },
) =>
  sql`FROM ${table} ${joins} LEFT JOIN integration_events e ON e.seq = ${newest}
    ${after === undefined ? empty : sql`WHERE ${id} > ${after}`} ORDER BY ${id} LIMIT ${size}`

/** The last id that can be read. */
const lastId = (rows: readonly ({ readonly id: string } & Damageable)[]) =>
  rows.findLast(({ damage }) => !damage?.includes('id'))?.id

interface EventRow {
  /** What people know the row by. */
  readonly title: string | null
  readonly event: number | bigint | string | null
  readonly format: string | null
  readonly recordedState: string | null
}

function compared(row: StateRow & EventRow & Damageable, key: RootKey, now: Date): ComparedRow {
  const { title, event: number, format, recordedState, ...columns } = row
  const { id } = row
  // SQLite takes a fraction for a number, too, and an event of that number is none of this program's.
  const event = row.damage?.includes('event') ? null : number
  const recorded = parseState(recordedState)
  const told = {
    id,
    name: title ?? id,
    event: event === null ? undefined : BigInt(event),
    isForeign: event === null || (recorded ? recorded.foreign === true : format !== null),
  }
  if (!recorded) return { ...told, differences: undefined }
  const { secrets = [] } = recorded
  const { state, held } = stateOf(columns as StateRow, { key, id, told: secrets })
  const labels = [recorded, state].flatMap(({ columns }) => Object.keys(columns)).filter(isLabelColumn)
  const differences = [...new Set([...Object.keys(columns), ...labels])].filter(
    (column) => recorded.columns[column] !== state.columns[column],
  )
  if (!held) return { ...told, differences: [...differences, 'integration_secrets'] }
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
