import { Command } from '@commander-js/extra-typings'
import { removeWorkspace } from '../../../operations/directory/workspaces.ts'
import { findWorkspace } from '../../../operations/find.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, workspaceArgument } from '../../input/arguments.ts'
import { confirmByTyping, confirmOption } from '../../input/consent.ts'
import { stopRequests } from '../../interruptions.ts'
import { withProgressBar } from '../../output/progress.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { workspaceView } from '../../views/directory.ts'

/** `integrations workspaces remove` */
export const command = (ctx: Context) =>
  declareChange(new Command('remove'), ctx.output, workspaceView)
    .summary('remove a workspace and every integration in it')
    .description(
      'Remove a workspace and every integration in it. Nothing is kept. A workspace of more than 500 integrations is removed in parts, so that other changes do not wait: you can interrupt the command, and run it again to remove the rest.',
    )
    .addArgument(workspaceArgument())
    .addOption(confirmOption())
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations workspaces remove Acme --confirm Acme'))
    .action(async (ref, { confirm, dryRun }) => {
      const store = await ctx.store()
      const shown = await store.read((db) => findWorkspace(db, ref))
      const what = `${shown.name} and ${plural(shown.integrations, 'integration')}`
      if (!dryRun)
        await confirmByTyping(ctx, {
          word: shown.name,
          confirm,
          warning: `This removes ${what} in it; nothing is kept.`,
        })
      const asked = confirm === undefined && !dryRun
      const integrations = asked ? shown.integrations : undefined
      const { begin, end, requested, exitCode } = stopRequests()
      const removed = await withProgressBar(ctx, 'integrations', (update) =>
        removeWorkspace(
          store,
          { id: shown.id },
          {
            dryRun,
            integrations,
            progress: (done, of) => {
              // Until something is removed, a signal ends the program as ever.
              begin()
              update(done, of)
            },
            stops: requested,
          },
        )
          .catch((error) => {
            ctx.exitCode = exitCode() ?? 0
            throw error
          })
          .finally(end),
      )
      await ctx.output.change(workspaceView, removed, {
        outcome: outcomeOf(true, dryRun),
        sentence: `${dryRun ? 'would remove' : 'removed'} ${what}`,
      })
    })
