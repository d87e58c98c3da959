import { interrupted, RowsTooLong } from '../../errors.ts'
import type { Reader } from '../../store/store.ts'
import { allRows } from '../../store/tables/all-rows.ts'
import type { Page } from '../../store/tables/page.ts'
import type { Context } from '../context.ts'
import type { View } from './output.ts'
import { shortTableRows } from './table-rows.ts'
import type { RowSource } from './values.ts'

/** A table that a list command reads. */
interface Listed<Filter, Row> {
  list(filter: Filter, page: Page): AsyncIterable<readonly Row[]>
  /** How many there are from where the page begins. */
  count(filter: Filter, page: Page): Promise<number>
}

/** A listing of no more rows than these needs no transaction to show one moment: one statement does, which is faster. */
const few = 500

/** Prints a page of rows, everything from one snapshot; a screenful ends with how many more there are. */
export async function printRows<Filter, Row>(
  ctx: Context,
  view: View<Row>,
  { table, filter, page }: { table: (db: Reader) => Listed<Filter, Row>; filter: Filter; page: Page },
): Promise<void> {
  const store = await ctx.store()
  let shown = 0
  let last: Row | undefined
  const printed: RowSource<Row> = async (emit, measure) => {
    const show = async (batch: readonly Row[]) => {
      shown += batch.length
      last = batch.at(-1) ?? last
      await emit(batch)
    }
    if (page.cursor === undefined && (page.limit ?? 0) <= few) {
      const limit = page.limit ?? few + 1
      const first = await store
        .read((db) => allRows(table(db).list(filter, { ...page, limit })))
        .catch((error: unknown) => {
          if (!(error instanceof RowsTooLong)) throw error
        })
      if (first && (page.limit !== undefined || first.length <= few)) return show(first)
    }
    await store.snapshot(async (db) => {
      // The store tries again when it is interrupted; what was printed would be printed twice.
      if (shown > 0) throw interrupted(shown)
      const rows = () => table(db).list(filter, { ...page, inPages: true })
      const mayBeLong = ctx.output.table() && (page.limit ?? Number.POSITIVE_INFINITY) > shortTableRows
      if (mayBeLong && (await table(db).count(filter, page)) > shortTableRows)
        for await (const batch of rows()) await measure(batch)
      for await (const batch of rows()) await show(batch)
    })
  }
  await ctx.output.rows(view, printed, { endEarly: true })
  ctx.output.noteIfEmpty(shown)
  if (!ctx.output.table() || page.limit === undefined || shown < page.limit || last === undefined) return
  const more = (await store.read((db) => table(db).count(filter, page))) - shown
  if (more > 0) ctx.output.note(`${more} more: add --all, or --cursor ${view.id(last)}`)
}
