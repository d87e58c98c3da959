import { Command } from '@commander-js/extra-typings'
import { is } from '../../../errors.ts'
import { recordStates } from '../../../operations/audit/record-states.ts'
import { prepareKeys } from '../../../operations/keys/keys.ts'
import { commandOn } from '../../../store/database/url.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { databaseView, noteIndexes, noteReason } from '../../views/database.ts'

/** `integrations db migrate` */
export const command = (ctx: Context) =>
  declareChange(new Command('migrate'), ctx.output, databaseView)
    .summary('bring the database up to date')
    .description(
      "Bring the database up to date, and record in the audit log the state of every row of which the log keeps none. An application's database is refused: db adopt takes it over.",
    )
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations db migrate', 'integrations db migrate --database file:./integrations.db'))
    .action(async ({ dryRun }) => {
      const { readStatus } = await import('../../../store/schema/status.ts')
      const { migrateDatabase } = await import('../../../store/schema/ready.ts')
      const applied = await migrateDatabase(ctx.storeOptions(false), dryRun)
      if (!dryRun) {
        const store = await ctx.store()
        await prepareKeys(store)
        await recordStates(store).catch((error: unknown) => {
          if (!is(error, 'KEYS_MISSING')) throw error
          ctx.output.note(
            'without the key set, the log keeps no state of the rows yet: run integrations db migrate where the keys are',
          )
        })
      }
      const status = await readStatus(ctx.storeOptions(false))
      await ctx.output.change(databaseView, status, {
        outcome: outcomeOf(applied.length > 0, dryRun),
        sentence:
          applied.length === 0
            ? `${status.url} is already up to date`
            : `${dryRun ? 'would apply' : 'applied'} to ${status.url}: ${applied.join(', ')}`,
      })
      if (applied.length > 0)
        ctx.output.note(
          `upgrade the receivers ${dryRun ? 'directly afterwards' : 'now'}: those of the version before start no more, and from the next change on refuse previous secrets`,
        )
      if (status.outdatedRoles.length > 0)
        ctx.output.warn(
          `roles lack rights that are needed now: ${status.outdatedRoles.join(', ')}: run the SQL of ${commandOn(ctx.database(), 'db roles')} once more, as the owner of the tables`,
        )
      if (status.status === 'changed') noteReason(ctx.output, status)
      if (applied.length > 0 && status.adopted) noteIndexes(ctx.output, ctx.database(), status)
    })
