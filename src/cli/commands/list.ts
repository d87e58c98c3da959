import { Command } from '@commander-js/extra-typings'
import { integrationSorts } from '../../store/tables/sorts.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples, page, withPageOptions } from '../input/arguments.ts'
import { filterOf, noteUnknownExpiry, withFilters } from '../input/filters.ts'
import { printRows } from '../output/listing.ts'
import { integrationView } from '../views/integration.ts'

/** `integrations list` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('list'), ctx.output, integrationView).description(
    'List integrations. Filters combine: a row must match all of them.',
  )
  return withPageOptions(withFilters(command), integrationSorts)
    .addHelpText(
      ...examples(
        'integrations list --platform slack --expiring 7d',
        'integrations list --stale 30d -o json --fields id,name,lastUsedAt',
        'integrations list --all -o jsonl',
      ),
    )
    .action(async (options) => {
      const store = await ctx.store()
      const filter = await filterOf(store, options)
      await noteUnknownExpiry(ctx, store, { kind: 'filter', filter })
      await printRows(ctx, integrationView, {
        table: (db) => db.integrations,
        filter,
        page: page(options, ctx.output),
        add: 'integrations add',
      })
    })
}
