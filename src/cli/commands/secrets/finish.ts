import { Command, Option } from '@commander-js/extra-typings'
import { shellWord } from '../../../errors.ts'
import { flagOf, refOf } from '../../../integration.ts'
import { finishSecret } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import {
  declareOutput,
  dryRunOption,
  examples,
  ifVersionOption,
  refArgument,
  secretFieldArgument,
} from '../../input/arguments.ts'
import { duration } from '../../input/time.ts'
import { integrationView } from '../../views/integration.ts'

/** `integrations secrets finish` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('finish')
      .summary('end the old value of a secret before its time')
      .description(
        'End the old value of a secret before its time. Refused (exit 5) while it may be in use: when it matched a request of late, or the new value is not known to have matched one yet. No record of use is not taken for proof that there was none.',
      )
      .addArgument(refArgument())
      .addArgument(secretFieldArgument())
      .addOption(
        new Option('--when-unused <duration>', 'how long the old value must not have matched a request')
          .argParser(duration)
          .default(3_600_000, '1h'),
      )
      .addOption(new Option('--force', 'end it, whatever is known of its use').default(false))
      .addOption(ifVersionOption())
      .addOption(dryRunOption())
      .addHelpText(
        'after',
        examples(
          'integrations secrets finish Acme/support webhook-secret',
          'integrations secrets finish Acme/support webhook-secret --when-unused 6h',
        ),
      ),
    ctx.output,
    integrationView,
  ).action(async (ref, field, options) => {
    const { before, after } = await finishSecret(await ctx.store(), ref, field, options)
    const [flag, where] = [flagOf(field), refOf(after)]
    if (before.version === after.version)
      return ctx.output.change(
        integrationView,
        after,
        `${where} has no old ${flag} that is still valid; nothing was changed`,
      )
    const until = before[field].previousValidUntil
    await ctx.output.change(
      integrationView,
      after,
      `${options.dryRun ? 'would end' : 'ended'} the old ${flag} of ${where}, which was valid until ${until}; no endpoint that uses the receiver library ${options.dryRun ? 'would accept' : 'accepts'} it any more`,
      options.dryRun
        ? []
        : [`integrations secrets list ${shellWord(after.id)}   # whether requests match the new value`],
    )
  })
