import { flagOf, refOf } from '../../../integration.ts'
import { revertSecret } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import { examples, secretFieldArgument } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { describePrevious, graceNextSteps, warnIfNoReceiver } from '../../views/grace-period.ts'
import { integrationView } from '../../views/integration.ts'
import { changeCommand } from '../change.ts'

/** `integrations secrets revert` */
export const command = (ctx: Context) =>
  changeCommand(ctx, 'revert')
    .summary('make the previous secret current again')
    .description(
      'Undo a rotation within its grace period: the previous secret becomes current again, and the secret that it replaces stays valid for the rest of the grace period. A second revert restores the first state. The expiry of an access token is restored too, as far as it is known.',
    )
    .addArgument(secretFieldArgument())
    .addHelpText(...examples('integrations secrets revert Acme/support webhook-secret'))
    .action(async (ref, field, options) => {
      const changed = await revertSecret(await ctx.store(), ref, { ...options, field })
      const { after } = changed
      if (!options.dryRun) await warnIfNoReceiver(ctx, after)
      await ctx.output.change(integrationView, after, {
        outcome: outcomeOf(true, options.dryRun),
        sentence: `${options.dryRun ? 'would make' : 'made'} the ${flagOf(field)} with the fingerprint ${after[field].fingerprint} current again in ${refOf(after)}${describePrevious(changed, field, { dryRun: options.dryRun, name: `the reverted ${flagOf(field)}` })}`,
        next: options.dryRun ? [] : graceNextSteps(ref, [field]),
      })
    })
