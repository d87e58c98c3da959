import { Command } from '@commander-js/extra-typings'
import { shellWord } from '../../../errors.ts'
import { addWorkspace } from '../../../operations/directory/workspaces.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, ifMissingOption } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { workspaceView } from '../../views/directory.ts'

/** `integrations workspaces add` */
export const command = (ctx: Context) =>
  declareChange(new Command('add'), ctx.output, workspaceView)
    .description('Add a workspace.')
    .argument('<name>', 'name of the workspace, unique')
    .addOption(ifMissingOption('a workspace', 'this name'))
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations workspaces add Acme'))
    .action(async (name, { dryRun, ifMissing }) => {
      const { workspace, added } = await addWorkspace(await ctx.store(), name, { dryRun, ifMissing })
      await ctx.output.change(workspaceView, workspace, {
        outcome: outcomeOf(added, dryRun),
        sentence: !added
          ? `the workspace ${name} exists already, id ${workspace.id}; no changes made`
          : dryRun
            ? `would add the workspace ${name}`
            : `added the workspace ${name}, id ${workspace.id}`,
        next: dryRun ? [] : [`integrations add --workspace ${shellWord(workspace.id)}`],
      })
    })
