import { Command } from '@commander-js/extra-typings'
import { removePolicy } from '../../../operations/report/policies.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { removedPolicyView } from '../../views/report.ts'

/** `integrations policy remove` */
export const command = (ctx: Context) =>
  declareChange(new Command('remove'), ctx.output, removedPolicyView)
    .summary('remove a policy')
    .description('Remove a policy. The audit log keeps what it asked.')
    .argument('<policy>', 'name of the policy')
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations policy remove production'))
    .action(async (name, { dryRun }) => {
      const store = await ctx.store()
      await removePolicy(store, name, { dryRun })
      await ctx.output.change(
        removedPolicyView,
        { name },
        { outcome: outcomeOf(true, dryRun), sentence: `${dryRun ? 'would remove' : 'removed'} the policy ${name}` },
      )
    })
