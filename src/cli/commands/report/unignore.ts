import { Command } from '@commander-js/extra-typings'
import { ignoredName, unignoreFinding } from '../../../operations/report/ignore.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, optionalRefArgument } from '../../input/arguments.ts'
import { codeArgument } from '../../input/finding-code.ts'
import { outcomeOf } from '../../output/values.ts'
import { ignoredFindingView } from '../../views/report.ts'

/** `integrations report unignore` */
export const command = (ctx: Context) =>
  declareChange(new Command('unignore'), ctx.output, ignoredFindingView)
    .summary('have reports tell an ignored finding again')
    .description(
      'Have reports tell an ignored finding again before its date. Without an integration, this ends what was ignored without one; findings that are ignored of single integrations stay ignored.',
    )
    .addArgument(codeArgument(ctx.host.argv))
    .addArgument(optionalRefArgument())
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations report unignore token-expires-30d Acme/support',
        'integrations report unignore use-not-recorded',
      ),
    )
    .action(async (code, ref, { dryRun }) => {
      const store = await ctx.store()
      const ended = await unignoreFinding(store, { code, ref }, { dryRun })
      await ctx.output.change(ignoredFindingView, ended, {
        outcome: outcomeOf(true, dryRun),
        sentence: `${ignoredName(ended)} ${dryRun ? 'would be' : 'is'} ignored no longer`,
      })
    })
