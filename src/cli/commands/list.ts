import { Command } from '@commander-js/extra-typings'
import { integrationSorts } from '../../store/tables/sorts.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples, page, withPageOptions } from '../input/arguments.ts'
import { expiringOption, filterOf, unknownExpiryNote, withFilters } from '../input/filters.ts'
import { printRows } from '../output/listing.ts'
import { integrationView } from '../views/integration.ts'

/** `integrations list` */
export const command = (ctx: Context) =>
  declareOutput(
    withPageOptions(
      withFilters(
        new Command('list').description('List integrations. Filters combine: a row must match all of them.'),
      ).addOption(expiringOption()),
      integrationSorts,
    ),
    ctx.output,
    integrationView,
  )
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
      await printRows(ctx, integrationView, page(options, ctx.output), {
        list: (db, wanted) => db.integrations.list(filter, wanted),
        count: (db, wanted) => db.integrations.count(filter, wanted),
      })
      const more = await unknownExpiryNote(store, filter)
      if (more !== undefined) ctx.output.note(more)
    })
