import { Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { ignoredFindingView } from '../../views/report.ts'

/** `integrations report ignored` */
export const command = (ctx: Context) =>
  declareOutput(new Command('ignored'), ctx.output, ignoredFindingView)
    .summary('list ignored findings')
    .description(
      'List ignored findings, the first to end first: who ignored them, why, and until when. One that has ended stays in the list until unignore removes it, or ignore begins it again.',
    )
    .addHelpText(...examples('integrations report ignored', 'integrations report ignored -o json'))
    .action(async () => {
      const store = await ctx.store()
      const ignored = await store.read((db) => db.ignoredFindings.list())
      await ctx.output.rows(ignoredFindingView, (emit) => emit(ignored), { paged: true })
      ctx.output.noteIfEmpty(ignored.length)
    })
