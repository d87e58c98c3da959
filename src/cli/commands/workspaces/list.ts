import { Command, Option } from '@commander-js/extra-typings'
import { workspaceSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, page, pageOptions } from '../../input/arguments.ts'
import { printRows } from '../../output/listing.ts'
import { workspaceView } from '../../views/integration.ts'

/** `integrations workspaces list` */
export const command = (ctx: Context) => {
  const [sort, limit, cursor, all] = pageOptions(workspaceSorts)
  const command = new Command('list')
    .description('List workspaces.')
    .addOption(new Option('--name <text>', 'with this text in the name, taken literally, ASCII case ignored'))
    .addOption(sort)
    .addOption(limit)
    .addOption(cursor)
    .addOption(all)
    .addHelpText('after', examples('integrations workspaces list --sort=-integrations'))
  return declareOutput(command, ctx.output, workspaceView).action(async (options) => {
    const filter = options.name === undefined ? {} : { nameContains: options.name }
    await printRows(ctx, workspaceView, page(options, ctx.output), {
      list: (db, wanted) => db.workspaces.list(filter, wanted),
      count: (db, wanted) => db.workspaces.count(filter, wanted),
    })
  })
}
