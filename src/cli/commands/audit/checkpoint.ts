import { Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'

/** `integrations audit checkpoint` */
export const command = (ctx: Context) =>
  new Command('checkpoint')
    .summary('print where the log ends, to keep elsewhere')
    .description(
      'Print where the audit log ends, as one line to keep where those who can write to the database cannot. With it, audit verify finds a log that was cut off or written anew. Needs no keys.',
    )
    .addHelpText(
      'after',
      examples(
        'integrations audit checkpoint >> checkpoints.txt',
        'integrations audit verify --checkpoint "$(tail -n 1 checkpoints.txt)"',
      ),
    )
    .action(async () => {
      const inJson = ctx.options.output === 'json' || ctx.options.output === 'jsonl'
      if (!inJson || ctx.options.fields) ctx.output.textOnly()
      const { checkpointText, takeCheckpoint } = await import('../../../operations/audit/verify.ts')
      const taken = await takeCheckpoint(await ctx.store())
      const checkpoint = checkpointText(taken)
      if (inJson) return ctx.output.json({ checkpoint, ...taken, seq: Number(taken.seq) })
      return ctx.output.raw(`${checkpoint}\n`)
    })
