import { Command, Option } from '@commander-js/extra-typings'
import { userSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, page, withPageOptions, withText } from '../../input/arguments.ts'
import { printRows } from '../../output/listing.ts'
import { userView } from '../../views/directory.ts'

/** `integrations users list` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('list'), ctx.output, userView)
    .description('List users.')
    .addOption(new Option('--email <text>', withText('the address')))
  return withPageOptions(command, userSorts)
    .addHelpText(...examples('integrations users list --email @example.com'))
    .action(async (options) => {
      const filter = options.email === undefined ? {} : { emailContains: options.email }
      await printRows(ctx, userView, {
        table: (db) => db.users,
        filter,
        page: page(options, ctx.output),
        add: 'integrations users add <email>',
      })
    })
}
