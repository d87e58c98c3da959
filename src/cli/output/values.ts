import { badInput } from '../../errors.ts'
import type { Json } from '../../json.ts'
import type { Clock } from './clock.ts'
import { printable } from './text.ts'
import type { Cell } from './tone.ts'

/** One field of a kind of rows. */
export interface Column<Row> {
  readonly field: string
  /** What heads it in a table; the field's words when absent. */
  readonly head?: string
  /** The value in machine formats. */
  readonly value: (row: Row) => Json
  /** The value in a table, for people; the machine's value when absent. */
  readonly cell?: (row: Row, clock: Clock) => Cell
  /** Where a table cuts its texts that do not fit: names in the middle, as their ends tell them apart. Absent: nowhere. */
  readonly cut?: 'middle' | 'end'
  /** To how many columns of the terminal its texts are cut at most, as long as a column that matters less can go. */
  readonly least?: number
}

/** How a kind of rows is shown. */
export interface View<Row> {
  readonly columns: readonly Column<Row>[]
  /** The fields of a table, and of text, unless `--fields` says otherwise. */
  readonly short: readonly string[]
  /** Further fields of a table for people, which only has those in which some row has something to say. */
  readonly notable?: readonly string[]
  /** The fields that matter most, in this order: the others go first from a table that is too wide for a terminal. */
  readonly essential?: readonly string[]
  /** The fields that tell people of one thing what others of it do, and are left out there unless `--fields` names them. */
  readonly redundant?: readonly string[]
  readonly id: (row: Row) => string
}

/** What came of a change that was asked for. */
export type Outcome = 'changed' | 'unchanged' | 'would change'

/** The outcome of a change. @param differs whether it differs from what is there */
export const outcomeOf = (differs: boolean, dryRun: boolean): Outcome =>
  !differs ? 'unchanged' : dryRun ? 'would change' : 'changed'

/** How what a change answers with is shown: the outcome stands beside it, for machines. */
export const changeView = <Row>(view: View<Row>): View<Row & { readonly outcome: Outcome }> => ({
  ...view,
  columns: [...view.columns, { field: 'outcome', value: ({ outcome }) => outcome }],
  redundant: [...(view.redundant ?? []), 'outcome'],
})

/** What came of a change; for people a sentence, and what to type next. */
export type Answer = { readonly outcome: Outcome; readonly sentence: string; readonly next?: readonly string[] }

/**
 * The fields of a view that are shown: those that were chosen, in their order; else all, or those of `short`.
 *
 * @throws BAD_INPUT for a field that there is not
 */
export function columnsOf<Row>(
  { columns, short }: { readonly columns: readonly Column<Row>[]; readonly short: readonly string[] },
  chosen: readonly string[] | undefined,
  all: boolean,
): readonly Column<Row>[] {
  if (chosen === undefined)
    return all
      ? columns
      : columns
          .filter(({ field }) => short.includes(field))
          .sort((a, b) => short.indexOf(a.field) - short.indexOf(b.field))
  return chosen.map((field) => {
    const column = columns.find((one) => one.field === field)
    if (column) return column
    const known = columns.map((one) => one.field).join(', ')
    throw badInput(`there is no field ${JSON.stringify(field)}`, `the fields are ${known}`)
  })
}

/** Takes some rows; `idLength`: how many characters of an id name each of them alone, where ids are not shown whole. */
export type Emit<Row> = (rows: readonly Row[], idLength?: number) => Promise<void>

/**
 * Hands on rows as they come to what prints them. A table keeps its rows to the end, unless the source has handed all of
 * them to `measure` before.
 */
export type RowSource<Row> = (emit: Emit<Row>, measure: Emit<Row>) => Promise<void>

/** The fields of a row by their names, for machines. */
export function object<Row>(columns: readonly Column<Row>[], row: Row): { [field: string]: Json } {
  // Made of entries, it takes twice as long, which a list of all integrations would show.
  const fields: { [field: string]: Json } = {}
  for (const { field, value } of columns) fields[field] = value(row)
  return fields
}

/** The cells of rows, for people, as they are at a moment. */
export function cells<Row>(columns: readonly Column<Row>[], rows: readonly Row[], clock: Clock): Cell[][] {
  return rows.map((row) =>
    columns.map((column): Cell => {
      const [text, tone, narrow] = column.cell?.(row, clock) ?? [plain(column.value(row)), 'plain']
      return narrow === undefined ? [printable(text), tone] : [printable(text), tone, printable(narrow)]
    }),
  )
}

/** The text of a value: nothing for null, JSON for what is not one word. */
export function plain(value: Json): string {
  if (value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** What heads a column, as in `LAST USED AT` for `lastUsedAt`. */
export const heading = ({ field, head }: { readonly field: string; readonly head?: string }) =>
  (head ?? field.replace(/[A-Z]/g, (letter) => ` ${letter}`)).toUpperCase()
