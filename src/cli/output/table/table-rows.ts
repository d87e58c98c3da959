import type { Clock } from '../clock.ts'
import type { Cell, Paint } from '../tone.ts'
import { type Column, cells, heading, type RowSource } from '../values.ts'
import type { Drawing, Heading, Measures } from './measures.ts'

/** How many rows a table may have that is kept, and drawn as a whole. */
export const shortTableRows = 1000

/** What a table is made of, and how. */
export interface TableOptions {
  readonly drawing: Drawing
  readonly clock: Clock
  /** The fields that matter most, in this order. */
  readonly essential: readonly string[]
  /** Whether the fields were asked for: each is shown, as long as there is room. */
  readonly chosen: boolean
  /** Is told how many lines a table has at least, before they are printed, and says how to paint them. */
  readonly begin?: ((lines: number) => Promise<Paint>) | undefined
  readonly print: (text: string) => Promise<void>
}

/**
 * Prints rows as a table; those that were measured, as they come.
 *
 * @returns the fields that have something to show, and no room
 */
export async function printTable<Row>(
  columns: readonly Column<Row>[],
  source: RowSource<Row>,
  { drawing: usual, clock, essential, chosen, begin, print }: TableOptions,
): Promise<string[]> {
  const headings = columns.map((column, index): Heading => {
    const rank = essential.indexOf(column.field)
    return {
      text: heading(column),
      cut: column.cut,
      least: column.least,
      stays: chosen,
      rank: chosen ? index : rank === -1 ? essential.length : rank,
    }
  })
  let drawing = usual
  const start = async (lines: number) => {
    if (begin) drawing = { ...usual, paint: await begin(lines) }
  }
  const idColumn = columns.findIndex(({ field }) => field === 'id')
  let idLength: number | undefined
  const withLength = (length: number | undefined) => {
    if (length !== undefined) idLength = Math.max(idLength ?? 0, length)
  }
  const shortened = (rows: readonly (readonly Cell[])[]) =>
    idLength === undefined || idColumn === -1 ? rows : rows.map((row) => withShortId(row, idColumn, idLength ?? 0))
  const longTable = async () => new (await import('./long-table.ts')).LongTable(headings, drawing)
  let long: Awaited<ReturnType<typeof longTable>> | undefined
  // The cells alone: a row may have long fields that are not shown.
  const collected: Cell[][] = []
  await source(
    async (batch, length) => {
      withLength(length)
      // The words of a time must be as wide when they are drawn as when they were measured.
      const rows = cells(columns, batch, clock)
      if (long) await print(long.draw(shortened(rows)))
      else for (const row of rows) collected.push(row)
    },
    async (batch, length) => {
      withLength(length)
      if (!long) await start(shortTableRows)
      long ??= await longTable()
      long.measures.add(shortened(cells(columns, batch, clock)))
    },
  )
  const hidden = (measures: Measures) =>
    measures.hidden(measures.placed(drawing.width)).map((index) => columns[index]?.field ?? '')
  if (long) return hidden(long.measures)
  if (collected.length === 0) return []
  const rows = shortened(collected)
  await start(rows.length + 1)
  if (rows.length > shortTableRows) {
    const table = await longTable()
    table.measures.add(rows)
    await print(table.draw(rows))
    return hidden(table.measures)
  }
  const [{ table }, measuring] = await Promise.all([import('./table.ts'), import('./measures.ts')])
  const measures = new measuring.Measures(headings)
  measures.add(rows)
  await print(table(headings, rows, { paint: drawing.paint, placed: measures.placed(drawing.width) }))
  return hidden(measures)
}

/** Prints one thing, a line a field; of fields that were not chosen, those that are neither empty nor `redundant`. */
export async function printRecord<Row>(
  columns: readonly Column<Row>[],
  row: Row,
  {
    drawing,
    clock,
    chosen,
    print,
    redundant = [],
  }: TableOptions & { readonly redundant?: readonly string[] | undefined },
): Promise<void> {
  const { record } = await import('./table.ts')
  const [all = []] = cells(columns, [row], clock)
  const shown = columns
    .map((column, i) => ({ column, cell: all[i] ?? (['', 'plain'] as const) }))
    .filter(({ column, cell: [text] }) => chosen || (text !== '' && !redundant.includes(column.field)))
  const heads = shown.map(({ column }) => heading(column))
  await print(
    record(
      heads,
      shown.map(({ cell }) => cell),
      drawing,
    ),
  )
}

/** An id that was escaped is left whole: a part of an escape would name nothing. */
const withShortId = (row: readonly Cell[], column: number, length: number): Cell[] =>
  row.map((cell, i) =>
    i === column && !cell[0].includes('\\') ? [[...cell[0]].slice(0, length).join(''), cell[1]] : cell,
  )
