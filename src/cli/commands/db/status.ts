import { Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { databaseView } from '../../views/database.ts'

/** `integrations db status` */
export const command = (ctx: Context) =>
  declareOutput(new Command('status'), ctx.output, databaseView)
    .summary('show the state and the contents of the database')
    .description(
      "Show the database, its state and its contents. Changes nothing, and works on a database that is empty, outdated, newer or unmanaged (an application's database that is not adopted).",
    )
    .addHelpText(
      ...examples('integrations db status', 'integrations db status -o json --fields state,migrationsPending'),
    )
    .action(async () => {
      const { readStatus } = await import('../../../store/schema/status.ts')
      const { refusalFor } = await import('../../../store/schema/ready.ts')
      const status = await readStatus(ctx.storeOptions(false))
      await ctx.output.one(databaseView, status)
      const reason = refusalFor(ctx.database(), status)
      if (!reason) return
      ctx.output.note(reason.message)
      ctx.output.note(`hint: ${reason.hint}`)
    })
