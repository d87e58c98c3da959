import { Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { appView } from '../../views/directory.ts'

/** `integrations apps list` */
export const command = (ctx: Context) =>
  declareOutput(new Command('list'), ctx.output, appView)
    .description('List OAuth apps, without their secrets.')
    .addHelpText(...examples('integrations apps list', 'integrations apps list -o json'))
    .action(async () => {
      const store = await ctx.store()
      const apps = await store.snapshot((db) => db.apps.list())
      await ctx.output.rows(appView, (emit) => emit(apps), { paged: true })
      ctx.output.noteIfEmpty(apps.length, 'integrations apps add <name>')
    })
