import { Command, Option } from '@commander-js/extra-typings'
import { sweepIntegrations } from '../../../operations/integrations/sweep.ts'
import type { GoneIntegration } from '../../../store/tables/integrations.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { confirmByTyping } from '../../input/consent.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { goneView } from '../../views/database.ts'

/** `integrations db sweep` */
export const command = (ctx: Context) =>
  declareChange(new Command('sweep'), ctx.output, goneView)
    .summary('delete what is kept of integrations that are gone')
    .description(
      'Delete what this program keeps of integrations that the application has deleted: versions, previous secrets, refreshes and configs. Foreign keys do that by themselves, but not where the application shows its integrations as a view, nor where it deletes in SQLite with foreign keys off. The audit log stays, and records each. What a view does not show is gone to this program, whether the application has deleted it or not: look at --dry-run first, and confirm the number.',
    )
    .addOption(
      new Option(
        '--confirm <number>',
        'confirm by repeating how many integrations are gone (required without a terminal where a view shows them)',
      ),
    )
    .addOption(dryRunOption())
    .addHelpText(
      ...examples('integrations db sweep --dry-run', 'integrations db sweep', 'integrations db sweep --confirm 2'),
    )
    .action(async ({ confirm, dryRun }) => {
      const store = await ctx.store()
      const planned = await sweepIntegrations(store, { dryRun: true })
      const count = planned.gone.length
      if (!dryRun && count > 0 && (planned.isView || confirm !== undefined))
        await confirmByTyping(ctx, {
          word: String(count),
          confirm,
          warning: `This deletes for good what is kept of ${plural(count, 'integration')}${planned.isView ? ' that the view integrations does not show' : ''}: ${namesOf(planned.gone)}. Check first that the application has deleted them.`,
        })
      const { gone } = dryRun ? planned : await sweepIntegrations(store, { dryRun, count })
      await ctx.output.changes(goneView, gone, {
        outcome: outcomeOf(gone.length > 0, dryRun),
        sentence:
          gone.length === 0
            ? 'nothing is kept of integrations that are gone'
            : `${dryRun ? 'would delete what is' : 'deleted what was'} kept of ${plural(gone.length, 'integration')}: ${namesOf(gone)}`,
      })
    })

/** How many are named in a sentence; the other formats have all. */
const mostNamed = 10

function namesOf(gone: readonly GoneIntegration[]): string {
  const names = gone.slice(0, mostNamed).map(({ id, name }) => name ?? id)
  return gone.length > mostNamed ? `${names.join(', ')} and ${gone.length - mostNamed} more` : names.join(', ')
}
