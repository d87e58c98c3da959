import { Command, Option } from '@commander-js/extra-typings'
import { workspaceSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, page, withPageOptions, withText } from '../../input/arguments.ts'
import { printRows } from '../../output/listing.ts'
import { workspaceView } from '../../views/directory.ts'

/** `integrations workspaces list` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('list'), ctx.output, workspaceView)
    .description('List workspaces.')
    .addOption(new Option('--name <text>', withText('the name')))
  return withPageOptions(command, workspaceSorts)
    .addHelpText(...examples('integrations workspaces list --sort=-integrations'))
    .action(async (options) => {
      const filter = options.name === undefined ? {} : { nameContains: options.name }
      await printRows(ctx, workspaceView, {
        table: (db) => db.workspaces,
        filter,
        page: page(options, ctx.output),
        add: 'integrations workspaces add <name>',
      })
    })
}
