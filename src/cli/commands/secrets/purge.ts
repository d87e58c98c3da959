import { Command, Option } from '@commander-js/extra-typings'
import { purgeSecrets } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { purgeView } from '../../views/secret.ts'

/** `integrations secrets purge` */
export const command = (ctx: Context) =>
  declareChange(new Command('purge'), ctx.output, purgeView)
    .summary('delete expired versions of secrets')
    .description(
      'Delete the values of versions of secrets, in every integration, that expired more than a day ago. Expired versions are not accepted in any case; every change deletes these values too, and the audit log records it. The day protects secrets that are in use from a machine whose clock is wrong; for the same reason the newest event of the audit log, too, must be more than a day younger than the expiry. Where it is not, this command records that event, and the next purge deletes the values.',
    )
    .addOption(
      new Option('--now', 'delete the value of every expired version at once, by the clock of the database').default(
        false,
      ),
    )
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations secrets purge', 'integrations secrets purge --now'))
    .action(async ({ dryRun, now }) => {
      const { purged, kept, waiting } = await purgeSecrets(await ctx.store(), { dryRun, atOnce: now })
      const sentence =
        purged === 0
          ? waiting
            ? `expired versions are kept until the audit log has an event a day after their expiry; ${dryRun ? 'no changes made' : 'this purge is that event'}`
            : `${kept === 0 ? 'no expired version is stored' : 'every expired version is kept for a day'}; no changes made`
          : `${dryRun ? 'would delete' : 'deleted'} ${plural(purged, 'expired version')}`
      await ctx.output.change(purgeView, { purged }, { outcome: outcomeOf(purged > 0, dryRun), sentence })
      if (kept > 0)
        ctx.output.note(`${plural(kept, 'expired version')} kept; to delete now: integrations secrets purge --now`)
    })
