import { Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { declareOutput, examples, refArgument } from '../../input/arguments.ts'
import { revisionView } from '../../views/config.ts'

/** `integrations config history` */
export const command = (ctx: Context) =>
  declareOutput(new Command('history'), ctx.output, revisionView)
    .summary('list the changes of the config')
    .description(
      'List the changes that this program made to the config, newest first: the version of the integration after the change, who made the change, and the event in the audit log. Needs no keys.',
    )
    .addArgument(refArgument())
    .addHelpText(...examples('integrations config history Acme/support'))
    .action(async (ref) => {
      const { listRevisions } = await import('../../../operations/config/revisions.ts')
      const revisions = await listRevisions(await ctx.store(), ref)
      await ctx.output.rows(revisionView, (emit) => emit(revisions), { endEarly: true })
      ctx.output.noteIfEmpty(revisions.length)
    })
