import { Command } from '@commander-js/extra-typings'
import { purgeSecrets } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { purgeView } from '../../views/integration.ts'

/** `integrations secrets purge` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('purge')
      .summary('forget the old values whose time is over')
      .description(
        'Forget the old values whose time is over, in every integration. They are not accepted any more in any case; every change forgets them too, and the audit log tells of it.',
      )
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations secrets purge')),
    ctx.output,
    purgeView,
  ).action(async ({ dryRun }) => {
    const purged = await purgeSecrets(await ctx.store(), { dryRun })
    await ctx.output.change(
      purgeView,
      { purged },
      purged === 0
        ? 'no old value is kept beyond its time; nothing was changed'
        : `${dryRun ? 'would forget' : 'forgot'} ${purged} old ${purged === 1 ? 'value' : 'values'} whose time is over`,
    )
  })
