import { Command } from '@commander-js/extra-typings'
import { shellWord } from '../../../errors.ts'
import { addWorkspace } from '../../../operations/directory/workspaces.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { workspaceView } from '../../views/directory.ts'

/** `integrations workspaces add` */
export const command = (ctx: Context) =>
  declareOutput(new Command('add'), ctx.output, workspaceView)
    .description('Add a workspace.')
    .argument('<name>', 'name of the workspace, unique')
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations workspaces add Acme'))
    .action(async (name, { dryRun }) => {
      const workspace = await addWorkspace(await ctx.store(), name, { dryRun })
      await ctx.output.change(workspaceView, workspace, {
        sentence: dryRun ? `would add the workspace ${name}` : `added the workspace ${name}, id ${workspace.id}`,
        next: dryRun ? [] : [`integrations add --workspace ${shellWord(workspace.id)}`],
      })
    })
