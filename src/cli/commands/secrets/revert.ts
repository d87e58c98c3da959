import { Command } from '@commander-js/extra-typings'
import { flagOf, refOf } from '../../../integration.ts'
import { revertSecret } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import {
  declareOutput,
  dryRunOption,
  examples,
  ifVersionOption,
  refArgument,
  secretFieldArgument,
} from '../../input/arguments.ts'
import { describePrevious, graceNextSteps, warnIfNoReceiver } from '../../views/grace-period.ts'
import { integrationView } from '../../views/integration.ts'

/** `integrations secrets revert` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('revert')
      .summary('make the old value of a secret current again')
      .description(
        'Take a rotation back while its window is open: the old value is current again, and the one taken back stays valid for what is left of the window. Done twice, it is as it was. With an access token goes when it ends, as far as that was known.',
      )
      .addArgument(refArgument())
      .addArgument(secretFieldArgument())
      .addOption(ifVersionOption())
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations secrets revert Acme/support webhook-secret')),
    ctx.output,
    integrationView,
  ).action(async (ref, field, options) => {
    const { before, after } = await revertSecret(await ctx.store(), ref, field, options)
    if (!options.dryRun) await warnIfNoReceiver(ctx, after)
    await ctx.output.change(
      integrationView,
      after,
      `${options.dryRun ? 'would make' : 'made'} the ${flagOf(field)} with the fingerprint ${after[field].fingerprint} current again in ${refOf(after)}${describePrevious(before, after, field, options.dryRun, 'the one taken back')}`,
      options.dryRun ? [] : graceNextSteps(after, [field]),
    )
  })
