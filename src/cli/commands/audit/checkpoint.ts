import { Command } from '@commander-js/extra-typings'
import type { Context } from '../../context.ts'
import { declareTextOrJson, examples } from '../../input/arguments.ts'

/** `integrations audit checkpoint` */
export const command = (ctx: Context) =>
  declareTextOrJson(new Command('checkpoint'), ctx.output)
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
      const { checkpointText, takeCheckpoint } = await import('../../../operations/audit/verify.ts')
      const taken = await takeCheckpoint(await ctx.store())
      const checkpoint = checkpointText(taken)
      await ctx.output.textOrJson(`${checkpoint}\n`, { checkpoint, ...taken, seq: Number(taken.seq) })
    })
