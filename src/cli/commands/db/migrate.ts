import { Command } from '@commander-js/extra-typings'
import { prepareKeys } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { databaseView } from '../../views/integration.ts'

/** `integrations db migrate` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('migrate')
      .summary('bring the database up to date')
      .description(
        "Bring the database up to date. One that is stays as it is; one whose tables are an application's is refused, for db adopt to take over.",
      )
      .addOption(dryRunOption())
      .addHelpText(
        'after',
        examples('integrations db migrate', 'integrations db migrate --database file:./integrations.db'),
      ),
    ctx.output,
    databaseView,
  ).action(async ({ dryRun }) => {
    const [{ readStatus }, { migrateDatabase }] = await Promise.all([
      import('../../../store/schema/status.ts'),
      import('../../../store/schema/ready.ts'),
    ])
    const applied = await migrateDatabase(ctx.storeOptions(false), dryRun)
    if (!dryRun) await prepareKeys(await ctx.store())
    const status = await readStatus(ctx.storeOptions(false))
    await ctx.output.change(
      databaseView,
      status,
      applied.length === 0
        ? `${status.url} is up to date already`
        : `${dryRun ? 'would apply' : 'applied'} to ${status.url}: ${applied.join(', ')}`,
    )
  })
