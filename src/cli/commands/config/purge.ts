import { Command, Option } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { checkChoice, refsArgument } from '../../input/filters.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { revisionPurgeView } from '../../views/config.ts'

/** `integrations config purge` */
export const command = (ctx: Context) =>
  declareChange(new Command('purge'), ctx.output, revisionPurgeView)
    .summary('forget former configs')
    .description(
      'Forget the configs from before and after each change, as when one of them holds a token. The configs that integrations have now stay, and so do the events of the audit log, which keep only a hash of a config; the log records the purge.',
    )
    .addArgument(refsArgument())
    .addOption(new Option('--all', 'of every integration').default(false))
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations config purge Acme/support', 'integrations config purge --all --dry-run'))
    .action(async (refs, { all, dryRun }) => {
      checkChoice(refs, all)
      const { purgeRevisions } = await import('../../../operations/config/revisions.ts')
      const purged = await purgeRevisions(await ctx.store(), all ? 'all' : refs, { dryRun })
      await ctx.output.change(
        revisionPurgeView,
        { purged },
        {
          outcome: outcomeOf(purged > 0, dryRun),
          sentence:
            purged === 0
              ? 'no former config is kept; no changes made'
              : `${dryRun ? 'would forget' : 'forgot'} the configs before and after ${plural(purged, 'change')}`,
        },
      )
    })
