import { Command } from '@commander-js/extra-typings'
import { checkFailed } from '../../../errors.ts'
import { keyStatus } from '../../../operations/keys/status.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { plural } from '../../output/text.ts'
import { keyStatusView, undecided } from '../../views/key.ts'

/** `integrations keys status` */
export const command = (ctx: Context) =>
  declareOutput(new Command('status'), ctx.output, keyStatusView)
    .summary('check that values are encrypted as the mode asks')
    .description(
      'Show the encryption mode, the active key, where the key set is, how many values each key encrypts, how many values are plain, and how many values of the application are still unread. Exits with 8 when there is a problem, and prints what to type; an unusable key set is a problem too. Decrypts no value: keys reencrypt --dry-run does.',
    )
    .addHelpText(...examples('integrations keys status', 'integrations keys status -o json --fields problems'))
    .action(async () => {
      const status = await keyStatus(await ctx.store(), ctx.keys())
      const { mode, plain, problems } = status
      await ctx.output.one(keyStatusView, status)
      if (mode === null) ctx.output.note(undecided)
      if (plain === null)
        ctx.output.note('cannot tell how many values are plain: counting needs the keys and the right to read secrets')
      for (const { problem, hint } of problems) ctx.output.warn(`${problem}; ${hint}`)
      const [first] = problems
      if (first)
        throw checkFailed(`the keys and values need attention: ${plural(problems.length, 'problem')}`, first.hint)
    })
