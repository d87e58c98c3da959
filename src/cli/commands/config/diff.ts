import { Command } from '@commander-js/extra-typings'
import { storedConfig } from '../../../operations/config/config.ts'
import type { Context } from '../../context.ts'
import { declareTextOrJson, examples, refArgument, revisionArgument } from '../../input/arguments.ts'
import { configDiff } from '../../views/config.ts'

/** `integrations config diff` */
export const command = (ctx: Context) =>
  declareTextOrJson(new Command('diff'), ctx.output)
    .summary('show what a change of the config changed')
    .description(
      'Show what a change of the config changed, as config history lists it: line by line, or in JSON the config before and after the change. Needs no keys.',
    )
    .addArgument(refArgument())
    .addArgument(revisionArgument())
    .addHelpText(
      ...examples('integrations config diff Acme/support', 'integrations config diff Acme/support 7 -o json'),
    )
    .action(async (ref, version) => {
      const { findRevision } = await import('../../../operations/config/revisions.ts')
      const revision = await findRevision(await ctx.store(), ref, version)
      const [before, after] = [await storedConfig(revision.before), await storedConfig(revision.after)]
      if (ctx.output.table() || ctx.options.output === undefined)
        return ctx.output.lines(await configDiff(before, after), 'stdout')
      return ctx.output.json({ version: revision.version, before, after })
    })
