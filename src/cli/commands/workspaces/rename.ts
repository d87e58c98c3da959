import { Command } from '@commander-js/extra-typings'
import { renameWorkspace } from '../../../operations/directory/workspaces.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, workspaceArgument } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { workspaceView } from '../../views/directory.ts'

/** `integrations workspaces rename` */
export const command = (ctx: Context) =>
  declareChange(new Command('rename'), ctx.output, workspaceView)
    .description('Give a workspace another name.')
    .addArgument(workspaceArgument())
    .argument('<name>', 'the new name')
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations workspaces rename Acme "Acme Inc."'))
    .action(async (ref, name, { dryRun }) => {
      const { before, after } = await renameWorkspace(await ctx.store(), { ref, name }, { dryRun })
      await ctx.output.change(workspaceView, after, {
        outcome: outcomeOf(after !== before, dryRun),
        sentence:
          after === before
            ? `the workspace is already named ${name}; no changes made`
            : `${dryRun ? 'would rename' : 'renamed'} the workspace to ${name}`,
      })
    })
