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
      const { apps, idLength } = await store.snapshot(async (db) => {
        const apps = await db.apps.list()
        const isShort = ctx.output.shortensIds(appView)
        return { apps, idLength: isShort ? await db.apps.idLength(apps.map(({ id }) => id)) : undefined }
      })
      await ctx.output.rows(appView, (emit) => emit(apps, idLength), { paged: true })
      ctx.output.noteIfEmpty(apps.length, 'integrations apps add <name>')
    })
