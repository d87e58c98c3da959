import { Command } from '@commander-js/extra-typings'
import { verifyKeys } from '../../operations/keys/keys.ts'
import type { Context } from '../context.ts'
import { declareChange, examples } from '../input/arguments.ts'
import { outcomeOf } from '../output/values.ts'
import { databaseView, noteReason } from '../views/database.ts'

/** `integrations init` */
export const command = (ctx: Context) =>
  declareChange(new Command('init'), ctx.output, databaseView)
    .description(
      'Initialise a database: the file of an embedded database is created when it does not exist, and an empty database gets its tables. A database that is ready stays as it is.',
    )
    .addHelpText(
      ...examples(
        'integrations init',
        'integrations init --database file:./integrations.db',
        'DATABASE_URL=postgresql://… integrations init',
      ),
    )
    .action(async () => {
      const store = await ctx.store({ create: true })
      await verifyKeys(store)
      const { readStatus } = await import('../../store/schema/status.ts')
      const status = await readStatus(ctx.storeOptions(false))
      await ctx.output.change(databaseView, status, {
        outcome: outcomeOf(store.initialised, false),
        sentence: `${status.url} is ready`,
        next: ['integrations workspaces add <name>', 'integrations add'],
      })
      noteReason(ctx.output, status)
    })
