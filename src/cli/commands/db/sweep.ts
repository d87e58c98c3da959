import { Command } from '@commander-js/extra-typings'
import { sweepIntegrations } from '../../../operations/integrations/sweep.ts'
import type { GoneIntegration } from '../../../store/tables/integrations.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { goneView } from '../../views/database.ts'

/** `integrations db sweep` */
export const command = (ctx: Context) =>
  declareChange(new Command('sweep'), ctx.output, goneView)
    .summary('delete what is kept of integrations that are gone')
    .description(
      'Delete what this program keeps of integrations that the application has deleted: versions, previous secrets, refreshes and configs. Foreign keys do that by themselves, but not where the application shows its integrations as a view, nor where it deletes in SQLite with foreign keys off. The audit log stays, and records each. Look at --dry-run first: what a view does not show is gone to this program.',
    )
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations db sweep --dry-run', 'integrations db sweep'))
    .action(async ({ dryRun }) => {
      const gone = await sweepIntegrations(await ctx.store(), { dryRun })
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
