import { interrupted, RowsTooLong } from '../../errors.ts'
import { allRows } from '../../store/all-rows.ts'
import type { Reader } from '../../store/store.ts'
import type { Page } from '../../store/tables/page.ts'
import type { Context } from '../context.ts'
import { shortTableRows } from './table/table-rows.ts'
import type { RowSource, View } from './values.ts'

/** A table that a list command reads. */
interface Listed<Filter, Row> {
  list(filter: Filter, page: Page): AsyncIterable<readonly Row[]>
  /** How many there are from where the page begins. */
  count(filter: Filter, page: Page): Promise<number>
  /** How many characters of an id name each of some rows alone; undefined where ids are shown whole. */
  idLength(ids: readonly string[]): Promise<number | undefined>
}

/**
 * How many characters of their ids name integrations that were asked about or changed; undefined where ids are shown whole,
 * which they are, too, where the database does not tell: what became of them matters more.
 */
export async function idLengthOf<Row>(ctx: Context, view: View<Row>, ids: readonly string[], db?: Reader) {
  if (!ctx.output.shortensIds(view)) return undefined
  const read = (db: Reader) => db.integrations.idLength(ids)
  return db ? read(db) : (await ctx.store()).read(read).catch(() => undefined)
}

/** A listing of no more rows than these needs no transaction to show one moment: one statement does, which is faster. */
const few = 500

/** Prints a page of rows, everything from one snapshot; a screenful ends with how many more there are. */
export async function printRows<Filter extends object, Row>(
  ctx: Context,
  view: View<Row>,
  {
    table,
    filter,
    page,
    add,
    inSnapshot = false,
  }: {
    readonly table: (db: Reader) => Listed<Filter, Row>
    readonly filter: Filter
    readonly page: Page
    /** What to type where there are no rows at all. */
    readonly add?: string
    /** However few the rows are, the table reads them by several statements. */
    readonly inSnapshot?: boolean
  },
): Promise<void> {
  const store = await ctx.store()
  let shown = 0
  let last: Row | undefined
  const lengthOf = async (db: Reader, rows: readonly Row[]) =>
    ctx.output.shortensIds(view) ? table(db).idLength(rows.map(view.id)) : undefined
  const readRows: RowSource<Row> = async (emit, measure) => {
    const show = async (batch: readonly Row[], idLength?: number) => {
      shown += batch.length
      last = batch.at(-1) ?? last
      await emit(batch, idLength)
    }
    if (!inSnapshot && page.cursor === undefined && (page.limit ?? 0) <= few) {
      const limit = page.limit ?? few + 1
      const first = await store
        .read(async (db) => {
          const rows = await allRows(table(db).list(filter, { ...page, limit }))
          return { rows, idLength: await lengthOf(db, rows) }
        })
        .catch((error: unknown) => {
          if (!(error instanceof RowsTooLong)) throw error
        })
      if (first && (page.limit !== undefined || first.rows.length <= few)) return show(first.rows, first.idLength)
    }
    await store.snapshot(async (db) => {
      // The store tries again when it is interrupted; what was printed would be printed twice.
      if (shown > 0) throw interrupted(shown)
      const rows = () => table(db).list(filter, { ...page, inPages: true })
      const mayBeLong = ctx.output.table() && (page.limit ?? Number.POSITIVE_INFINITY) > shortTableRows
      const isLong = mayBeLong && (await table(db).count(filter, page)) > shortTableRows
      if (isLong) for await (const batch of rows()) await measure(batch, await lengthOf(db, batch))
      for await (const batch of rows()) await show(batch, isLong ? undefined : await lengthOf(db, batch))
    })
  }
  let more = 0
  const printed: RowSource<Row> = async (emit, measure) => {
    await readRows(emit, measure)
    // Before people look at the rows in a pager: the connection may be gone when they have seen enough.
    if (ctx.output.table() && page.limit !== undefined && shown >= page.limit)
      more = (await (inSnapshot ? store.snapshot : store.read)((db) => table(db).count(filter, page))) - shown
  }
  await ctx.output.rows(view, printed, { endEarly: true, paged: true })
  const isWhole = page.cursor === undefined && Object.values(filter).every((one) => one === undefined)
  ctx.output.noteIfEmpty(shown, isWhole ? add : undefined)
  if (more > 0 && last !== undefined) ctx.output.note(`${more} more: add --all, or --cursor ${view.id(last)}`)
}
