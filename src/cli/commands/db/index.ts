import { Command, Option } from '@commander-js/extra-typings'
import type { ApplicationIndex } from '../../../store/schema/indexes.ts'
import type { Context } from '../../context.ts'
import { declareChange, examples } from '../../input/arguments.ts'
import { changeView, outcomeOf } from '../../output/values.ts'
import { indexView } from '../../views/database.ts'

/** `integrations db index` */
export const command = (ctx: Context) =>
  declareChange(new Command('index'), ctx.output, indexView)
    .summary('show or make the indexes for large tables')
    .description(
      "Show the indexes by which this program finds integrations and workspaces, and the SQL that makes each. A database of this program has them from its migrations; an adopted database stays as it is, and works without them, but its large tables are read from end to end. Add the statements to the application's own migrations, or have --create make the indexes: one at a time, however long each takes; in PostgreSQL other changes go on meanwhile. An index that is invalid, because its making was interrupted, is made again. Without --create, the outcome says what --create would do.",
    )
    .addOption(new Option('--create', 'make the indexes that are missing').default(false))
    .addHelpText(...examples('integrations db index', 'DATABASE_URL=postgresql://… integrations db index --create'))
    .action(async ({ create }) => {
      const { createIndexes, listIndexes } = await import('../../../store/schema/indexes.ts')
      const { displayUrl } = await import('../../../store/database/url.ts')
      if (!create) {
        const indexes = await listIndexes(ctx.storeOptions(false))
        // What --create would do.
        const outcome = ({ state }: ApplicationIndex) => outcomeOf(state === 'missing' || state === 'invalid', true)
        const planned = indexes.map((one) => ({ ...one, outcome: outcome(one) }))
        return ctx.output.rows(changeView(indexView), (emit) => emit(planned))
      }
      const made = await createIndexes(ctx.storeOptions(false))
      const url = displayUrl(ctx.database())
      await ctx.output.changes(indexView, made, {
        outcome: outcomeOf(made.length > 0, false),
        sentence:
          made.length === 0
            ? `${url} has all indexes already`
            : `made ${made.length === 1 ? 'an index' : `${made.length} indexes`} in ${url}`,
      })
    })
