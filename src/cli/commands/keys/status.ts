import { Command } from '@commander-js/extra-typings'
import { IntegrationsError } from '../../../errors.ts'
import { keyStatus } from '../../../operations/keys/status.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { keyStatusView, undecided } from '../../views/key.ts'

/** `integrations keys status` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('status')
      .summary('check that values are sealed as they should be')
      .description(
        'Show the sealing mode, the active key, how many values each key seals, how many are plain, and how many the application has written that nobody has read yet. Ends with 8 when something is off, and says what to type; it is when the key set cannot be used. Opens no value: keys reencrypt --dry-run does.',
      )
      .addHelpText('after', examples('integrations keys status', 'integrations keys status -o json --fields problems')),
    ctx.output,
    keyStatusView,
  ).action(async () => {
    const status = await keyStatus(await ctx.store(), ctx.keys())
    await ctx.output.one(keyStatusView, status)
    if (status.mode === null) ctx.output.note(undecided)
    if (status.plain === null)
      ctx.output.note('whether values are plain is not known: that takes the keys, and the right to read secrets')
    for (const { problem, hint } of status.problems) ctx.output.warn(`${problem}; ${hint}`)
    const [first] = status.problems
    if (first)
      throw new IntegrationsError({
        code: 'CHECK_FAILED',
        message: `keys and values are not as they should be: ${status.problems.length} problem${status.problems.length === 1 ? '' : 's'}`,
        hint: first.hint,
      })
  })
