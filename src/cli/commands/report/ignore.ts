import { Command, Option } from '@commander-js/extra-typings'
import { ignoredName, ignoreFinding, mostIgnoredDays } from '../../../operations/report/ignore.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, optionalRefArgument } from '../../input/arguments.ts'
import { requireReason } from '../../input/consent.ts'
import { codeArgument } from '../../input/finding-code.ts'
import { future, futureForms } from '../../input/time.ts'
import { outcomeOf } from '../../output/values.ts'
import { ignoredFindingView } from '../../views/report.ts'

/** `integrations report ignore` */
export const command = (ctx: Context) =>
  declareChange(new Command('ignore'), ctx.output, ignoredFindingView)
    .summary('leave a finding out of reports until a date')
    .description(
      `Leave a finding out of reports, out of their counts and of --fail-on, until a date that is at most ${mostIgnoredDays} days ahead: of one integration, or, without one, wherever the code is found, in integrations that come later, too. Reports say how many findings are ignored. Needs --reason. Of a finding that is ignored already, this changes the date and the reason.`,
    )
    .addArgument(codeArgument(ctx.host.argv))
    .addArgument(optionalRefArgument())
    .addOption(
      new Option('--until <date>', `when reports tell the finding again: ${futureForms}`)
        .argParser(future)
        .makeOptionMandatory(),
    )
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations report ignore token-expires-30d Acme/support --until 2027-01-31 --reason "renewed by then, OPS-12"',
        'integrations report ignore use-not-recorded --until 30d --reason "receivers come with OPS-13"',
      ),
    )
    .action(async (code, ref, { until, dryRun }) => {
      const reason = requireReason(ctx, 'the finding')
      const store = await ctx.store()
      const { ignored, isNew } = await ignoreFinding(store, { code, ref, until, reason, by: ctx.actor(), dryRun })
      await ctx.output.change(ignoredFindingView, ignored, {
        outcome: outcomeOf(isNew, dryRun),
        sentence: isNew
          ? `${dryRun ? 'would ignore' : 'ignored'} ${ignoredName(ignored)} until ${ignored.until}`
          : `${ignoredName(ignored)} is ignored until ${ignored.until} already`,
      })
    })
