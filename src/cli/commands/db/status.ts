import { Command } from '@commander-js/extra-typings'
import { readableByOthers } from '../../../store/database/private-files.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { databaseView, noteIndexes, noteReason } from '../../views/database.ts'

/** `integrations db status` */
export const command = (ctx: Context) =>
  declareOutput(new Command('status'), ctx.output, databaseView)
    .summary('show the state and the contents of the database')
    .description(
      "Show the database, its state and its contents. Changes nothing, and works on a database that is empty, outdated, newer or unmanaged (an application's database that is not adopted). The state is changed when an application has changed its tables so that something cannot be done, and the differences are listed.",
    )
    .addHelpText(
      ...examples('integrations db status', 'integrations db status -o json --fields state,migrationsPending'),
    )
    .action(async () => {
      const { readStatus } = await import('../../../store/schema/status.ts')
      const options = ctx.storeOptions(false)
      // SQLite makes files beside it once it is open, which go away with this process.
      const readable = readableByOthers(options.database, options.me)
      const status = await readStatus(options)
      await ctx.output.one(databaseView, status)
      if (readable && status.adopted && status.applicationWrites)
        ctx.output.warn(`${readable.message}: ${readable.hint}`)
      noteReason(ctx.output, status)
      if (status.adopted) noteIndexes(ctx.output, options.database, status)
    })
