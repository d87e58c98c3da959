import { Command } from '@commander-js/extra-typings'
import { purgeSecrets } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { plural } from '../../output/text.ts'
import { purgeView } from '../../views/secret.ts'

/** `integrations secrets purge` */
export const command = (ctx: Context) =>
  declareOutput(new Command('purge'), ctx.output, purgeView)
    .summary('delete expired versions of secrets')
    .description(
      'Delete expired versions of secrets in every integration. Expired versions are not accepted in any case; every change deletes them too, and the audit log records it.',
    )
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations secrets purge'))
    .action(async ({ dryRun }) => {
      const purged = await purgeSecrets(await ctx.store(), { dryRun })
      const sentence =
        purged === 0
          ? 'no expired version is stored; no changes made'
          : `${dryRun ? 'would delete' : 'deleted'} ${plural(purged, 'expired version')}`
      await ctx.output.change(purgeView, { purged }, { sentence })
    })
