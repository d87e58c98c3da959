import { Command, Option } from '@commander-js/extra-typings'
import { userSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, page, pageOptions } from '../../input/arguments.ts'
import { printRows } from '../../output/listing.ts'
import { userView } from '../../views/integration.ts'

/** `integrations users list` */
export const command = (ctx: Context) => {
  const [sort, limit, cursor, all] = pageOptions(userSorts)
  const command = new Command('list')
    .description('List users.')
    .addOption(new Option('--email <text>', 'with this text in the address, taken literally, ASCII case ignored'))
    .addOption(sort)
    .addOption(limit)
    .addOption(cursor)
    .addOption(all)
    .addHelpText('after', examples('integrations users list --email @example.com'))
  return declareOutput(command, ctx.output, userView).action(async (options) => {
    const filter = options.email === undefined ? {} : { emailContains: options.email }
    await printRows(ctx, userView, page(options, ctx.output), {
      list: (db, wanted) => db.users.list(filter, wanted),
      count: (db, wanted) => db.users.count(filter, wanted),
    })
  })
}
