import { Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'

/** `integrations audit checkpoint` */
export const command = (ctx: Context) =>
  new Command('checkpoint')
    .summary('print the end of the log, to keep elsewhere')
    .description(
      'Print the end of the audit log as one line. Keep the line where people who can write to the database cannot change it. With it, audit verify detects a log that was truncated or rewritten. Needs no keys.',
    )
    .addHelpText(
      ...examples(
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
