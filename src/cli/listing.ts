import type { Page } from '../store/page.ts'
import type { Rows } from '../store/store.ts'
import type { Context } from './context.ts'
import type { View } from './output.ts'

/** What a list command reads. */
interface Listing<Row> {
  list(rows: Rows, page: Page, emit: (rows: readonly Row[]) => Promise<void>): Promise<void>
  count(rows: Rows): Promise<number>
}

/** Prints a page of rows, everything from one snapshot; a screenful ends with how many more there are. */
export async function printRows<Row>(
  ctx: Context,
  view: View<Row>,
  page: Page,
  { list, count }: Listing<Row>,
): Promise<void> {
  const store = await ctx.store()
  const read = page.limit === undefined ? store.snapshot : store.read
  let shown = 0
  let last: Row | undefined
  await ctx.output.rows(view, (emit) =>
    read((rows) =>
      list(rows, page, async (batch) => {
        shown += batch.length
        last = batch.at(-1)
        await emit(batch)
      }),
    ),
  )
  if (!ctx.output.table()) return
  if (shown === 0) ctx.output.note('nothing to show')
  if (page.limit === undefined || shown < page.limit || last === undefined || page.cursor !== undefined) return
  const more = (await store.read(count)) - shown
  if (more > 0) ctx.output.note(`${more} more: add --all, or --cursor ${view.id(last)}`)
}
