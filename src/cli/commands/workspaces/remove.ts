import { Command } from '@commander-js/extra-typings'
import { removeWorkspace } from '../../../operations/directory/workspaces.ts'
import { findWorkspace } from '../../../operations/find.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples, workspaceArgument } from '../../input/arguments.ts'
import { confirmByTyping, confirmOption } from '../../input/consent.ts'
import { plural } from '../../output/text.ts'
import { workspaceView } from '../../views/directory.ts'

/** `integrations workspaces remove` */
export const command = (ctx: Context) =>
  declareOutput(new Command('remove'), ctx.output, workspaceView)
    .description('Remove a workspace and every integration in it. Nothing is kept.')
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
      const removed = await removeWorkspace(store, shown.id, { dryRun, integrations })
      await ctx.output.change(workspaceView, removed, { sentence: `${dryRun ? 'would remove' : 'removed'} ${what}` })
    })
