import { Argument, Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { declareOutput, examples, wholeNumber } from '../../input/arguments.ts'
import { changeLines, shownEventView } from '../../views/audit.ts'

/** `integrations audit show` */
export const command = (ctx: Context) =>
  declareOutput(new Command('show'), ctx.output, shownEventView)
    .summary('show an event, and what it changed')
    .description(
      'Show an event, and the values before and after it of every field that is not secret; of a config and of long texts, the log keeps a hash alone. The values before are those after the previous event about the same thing: what an application has changed of its own tables since then is among the changes. With the keys, verifies these two events; audit verify verifies the whole log. Needs no keys.',
    )
    .addArgument(
      new Argument('<seq>', 'the number of the event, as audit list shows it').argParser((text) =>
        BigInt(wholeNumber(1)(text)),
      ),
    )
    .addHelpText(...examples('integrations audit show 4711', 'integrations audit show 4711 -o json --fields changes'))
    .action(async (seq) => {
      const { showEvent } = await import('../../../operations/audit/show.ts')
      const shown = await showEvent(await ctx.store(), ctx.keys(), seq)
      const { event, changes, verified } = shown
      await ctx.output.one(shownEventView, { ...event, changes, verified })
      if (ctx.output.table() && !ctx.options.fields) await ctx.output.lines(changeLines(shown), 'stdout')
      if (shown.verified === false)
        ctx.output.warn('another program changed this event or the one before it: integrations audit verify')
      if (shown.unverified) ctx.output.note(`the event is not verified: ${shown.unverified.message}`)
    })
