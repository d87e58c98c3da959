import { Command } from '@commander-js/extra-typings'
import { findWorkspace } from '../../../operations/find.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, workspaceArgument } from '../../input/arguments.ts'
import { workspaceView } from '../../views/directory.ts'

/** `integrations workspaces show` */
export const command = (ctx: Context) =>
  declareOutput(new Command('show'), ctx.output, workspaceView)
    .description('Show one workspace.')
    .addArgument(workspaceArgument())
    .addHelpText(...examples('integrations workspaces show Acme'))
    .action(async (ref) => {
      const store = await ctx.store()
      await ctx.output.one(workspaceView, await store.read((db) => findWorkspace(db, ref)))
    })
