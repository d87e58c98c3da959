import { Argument, Command, Option } from '@commander-js/extra-typings'
import { badInput } from '../../../errors.ts'
import { acknowledgeDamage } from '../../../operations/audit/acknowledge.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, wholeNumber } from '../../input/arguments.ts'
import { requireReason } from '../../input/consent.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { acknowledgementView } from '../../views/audit.ts'

/** `integrations audit acknowledge` */
export const command = (ctx: Context) =>
  declareChange(new Command('acknowledge'), ctx.output, acknowledgementView)
    .summary('acknowledge damage to the audit log')
    .description(
      'Acknowledge damage to the audit log that you have seen and can explain. audit verify then lists it as acknowledged, with your reason, and no longer exits with 8 for it. The log stays as it is; other damage at the same place is a problem again. A row that another program changed, added or removed is recorded as it is. Changed secrets and a changed encryption mode cannot be acknowledged: replace the secrets, and restore the mode.',
    )
    .addArgument(
      new Argument('[seq]', 'the number of the event that audit verify names').argParser((text) =>
        BigInt(wholeNumber(1)(text)),
      ),
    )
    .addOption(
      new Option(
        '--rollback',
        'every event that was lost in a rollback of the log, as by a restored backup or a failover',
      ).default(false),
    )
    .addOption(new Option('--row <id>', 'the id of a row that audit verify names; the first 6 characters suffice'))
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations audit acknowledge 4711 --reason "restored by hand, OPS-12"',
        'integrations audit acknowledge --rollback --reason "backup of Monday restored, OPS-13"',
        'integrations audit acknowledge --row 7674552b --reason "moved by SQL, OPS-14"',
      ),
    )
    .action(async (seq, { rollback, row, dryRun }) => {
      const given = [
        ...(seq === undefined ? [] : [{ seq }]),
        ...(row === undefined ? [] : [{ row }]),
        ...(rollback ? (['rollback'] as const) : []),
      ]
      const [damage, ...more] = given
      if (damage === undefined || more.length > 0)
        throw badInput(
          'give the number of an event, --row or --rollback',
          'integrations audit verify names the events and rows that have problems',
        )
      requireReason(ctx, 'the acknowledgement')
      const problems = await acknowledgeDamage(await ctx.store(), damage, { dryRun })
      await ctx.output.change(
        acknowledgementView,
        { problems },
        {
          outcome: outcomeOf(problems.length > 0, dryRun),
          sentence: `${dryRun ? 'would acknowledge' : 'acknowledged'} ${plural(problems.length, 'problem')}`,
        },
      )
    })
