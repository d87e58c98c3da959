import type { Drawing } from './table.ts'
import type { Cell } from './tone.ts'
import { type Column, cells, heading, type RowSource } from './values.ts'

/** How many rows a table may have that is kept, and drawn as a whole. */
export const shortTableRows = 1000

/** Prints rows as a table; those that were measured, as they come. */
export async function printTable<Row>(
  columns: readonly Column<Row>[],
  source: RowSource<Row>,
  { drawing, print }: { readonly drawing: Drawing; readonly print: (text: string) => Promise<void> },
): Promise<void> {
  const heads = columns.map(heading)
  // The words of a time must be as wide when they are drawn as when they were measured.
  const now = Date.now()
  const longTable = async () => {
    const { LongTable } = await import('./long-table.ts')
    const id = columns.findIndex(({ field }) => field === 'id')
    return new LongTable(heads, drawing, id)
  }
  let long: Awaited<ReturnType<typeof longTable>> | undefined
  // The cells alone: a row may have long fields that are not shown.
  const collected: Cell[][] = []
  await source(
    async (batch) => {
      const rows = cells(columns, batch, now)
      if (long) await print(long.draw(rows))
      else for (const row of rows) collected.push(row)
    },
    async (batch) => {
      long ??= await longTable()
      long.measure(cells(columns, batch, now))
    },
  )
  if (collected.length === 0) return
  if (collected.length <= shortTableRows) {
    const { table } = await import('./table.ts')
    return print(table(heads, collected, drawing))
  }
  const table = await longTable()
  table.measure(collected)
  await print(table.draw(collected))
}
