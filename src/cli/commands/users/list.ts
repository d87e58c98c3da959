import { Command, Option } from '@commander-js/extra-typings'
import { userSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, page, withPageOptions } from '../../input/arguments.ts'
import { printRows } from '../../output/listing.ts'
import { userView } from '../../views/directory.ts'

/** `integrations users list` */
export const command = (ctx: Context) =>
  declareOutput(
    withPageOptions(
      new Command('list')
        .description('List users.')
        .addOption(new Option('--email <text>', 'with this literal text in the address (ASCII case ignored)')),
      userSorts,
    ),
    ctx.output,
    userView,
  )
    .addHelpText(...examples('integrations users list --email @example.com'))
    .action(async (options) => {
      const filter = options.email === undefined ? {} : { emailContains: options.email }
      await printRows(ctx, userView, page(options, ctx.output), {
        list: (db, wanted) => db.users.list(filter, wanted),
        count: (db, wanted) => db.users.count(filter, wanted),
      })
    })
