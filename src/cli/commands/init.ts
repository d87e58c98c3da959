import { Command } from '@commander-js/extra-typings'
import { verifyKeys } from '../../operations/keys/keys.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples } from '../input/arguments.ts'
import { databaseView } from '../views/integration.ts'

/** `integrations init` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('init')
      .description(
        'Make a database ready: the file of an embedded one is made when it is not there, and an empty one gets its tables. One that is ready stays as it is.',
      )
      .addHelpText(
        'after',
        examples(
          'integrations init',
          'integrations init --database file:./integrations.db',
          'DATABASE_URL=postgresql://… integrations init',
        ),
      ),
    ctx.output,
    databaseView,
  ).action(async () => {
    await verifyKeys(await ctx.store({ create: true }))
    const { readStatus } = await import('../../store/schema/status.ts')
    const status = await readStatus(ctx.storeOptions(false))
    await ctx.output.change(databaseView, status, `${status.url} is ready`, [
      'integrations workspaces add <name>',
      'integrations add',
    ])
  })
