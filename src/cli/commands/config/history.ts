import { Command } from '@commander-js/extra-typings'
import { findIntegration } from '../../../operations/find.ts'
import type { Reader } from '../../../store/store.ts'
import { revisionSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, page, refArgument, wholeNumber, withPageOptions } from '../../input/arguments.ts'
import { printRows } from '../../output/listing.ts'
import { revisionView } from '../../views/config.ts'

/** `integrations config history` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('history'), ctx.output, revisionView)
    .summary('list the changes of the config')
    .description(
      'List the changes that this program made to the config, newest first: the version of the integration after the change, who made the change, and the event in the audit log. Needs no keys.',
    )
    .addArgument(refArgument())
  return withPageOptions(command, revisionSorts, {
    order: '-version',
    cursorOf: (text) => String(wholeNumber(1)(text)),
  })
    .addHelpText(...examples('integrations config history Acme/support'))
    .action(async (ref, options) => {
      const { recordedRevisions } = await import('../../../operations/config/revisions.ts')
      const { id } = await (await ctx.store()).read((db) => findIntegration(db, ref))
      const table = (db: Reader) => recordedRevisions(db, id)
      await printRows(ctx, revisionView, { table, filter: {}, page: page(options, ctx.output) })
    })
}
