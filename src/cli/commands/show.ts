import { Command } from '@commander-js/extra-typings'
import { findIntegration } from '../../operations/find.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples, refArgument } from '../input/arguments.ts'
import { integrationView } from '../views/integration.ts'

/** `integrations show` */
export const command = (ctx: Context) =>
  declareOutput(new Command('show'), ctx.output, integrationView)
    .description('Show an integration. For its secrets, only metadata is shown: whether and when they were set.')
    .addArgument(refArgument())
    .addHelpText(
      ...examples('integrations show Acme/support', 'integrations show Acme/support -o json --fields config'),
    )
    .action(async (ref) => {
      const store = await ctx.store()
      await ctx.output.one(integrationView, await store.read((db) => findIntegration(db, ref)))
    })
