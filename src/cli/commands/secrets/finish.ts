import { Command, Option } from '@commander-js/extra-typings'
import { flagOf, refOf } from '../../../integration.ts'
import { finishSecret } from '../../../operations/secrets/finish.ts'
import { secretsCommand } from '../../../operations/texts.ts'
import type { Context } from '../../context.ts'
import {
  declareChange,
  dryRunOption,
  examples,
  ifVersionOption,
  refArgument,
  secretFieldArgument,
} from '../../input/arguments.ts'
import { duration } from '../../input/time.ts'
import { outcomeOf } from '../../output/values.ts'
import { stillAccepted, whenRefused } from '../../views/grace-period.ts'
import { integrationView } from '../../views/integration.ts'

/** `integrations secrets finish` */
export const command = (ctx: Context) =>
  declareChange(new Command('finish'), ctx.output, integrationView)
    .summary('expire the previous secret early')
    .description(
      'Expire the previous secret before its grace period is over. Refused (exit 5) while the previous secret may be in use: when it matched a request recently, when no running receiver has matched a request with the current secret, or when the report of a receiver is missing, older than two minutes, or not its own. Lack of recorded use is not treated as proof of disuse. Of a token, which requests do not match, the stored previous values are deleted; the platform goes on accepting them until they expire or are revoked there.',
    )
    .addArgument(refArgument())
    .addArgument(secretFieldArgument())
    .addOption(
      new Option('--when-unused <duration>', 'how long the previous secret must not have matched a request')
        .argParser(duration)
        .default(3_600_000, '1h'),
    )
    .addOption(new Option('--force', 'expire the previous secret, whatever use is recorded').default(false))
    .addOption(ifVersionOption())
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations secrets finish Acme/support webhook-secret',
        'integrations secrets finish Acme/support webhook-secret --when-unused 6h',
      ),
    )
    .action(async (ref, field, options) => {
      const { before, after } = await finishSecret(await ctx.store(), ref, { ...options, field })
      const [flag, where] = [flagOf(field), refOf(after)]
      if (before.version === after.version)
        return ctx.output.change(integrationView, after, {
          outcome: 'unchanged',
          sentence: `${where} has no previous ${flag}; no changes made`,
        })
      const until = before[field].previousValidUntil
      const sentence =
        field === 'webhookSecret'
          ? `${options.dryRun ? 'would expire' : 'expired'} the previous ${flag} of ${where}, which was valid until ${until}; receivers ${options.dryRun ? 'would ' : ''}refuse it ${await whenRefused(ctx)}`
          : `${options.dryRun ? 'would delete' : 'deleted'} every previous ${flag} of ${where}, kept here until ${until} at the latest; ${stillAccepted(after, field, 'each')}`
      await ctx.output.change(integrationView, after, {
        outcome: outcomeOf(true, options.dryRun),
        sentence,
        next: options.dryRun ? [] : [secretsCommand(ref)],
      })
    })
