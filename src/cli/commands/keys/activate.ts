import { Command } from '@commander-js/extra-typings'
import { activateKey } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { keyView } from '../../views/key.ts'
import { answerKeyChange } from '../../views/key-change.ts'

/** `integrations keys activate` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('activate')
      .summary('seal with another key from now on')
      .description(
        'Seal with another key from now on. The one before it goes on opening what it has sealed. First see that every machine that uses this database has the key: one that lacks it can read nothing that is sealed from here on, and change nothing.',
      )
      .argument('<key-id>', 'the id of the key, as keys list shows it')
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations keys activate enc-6f1c2a9d03be')),
    ctx.output,
    keyView,
  ).action(async (id, { dryRun }) => {
    const change = await activateKey(await ctx.store(), ctx.keys(), id, { dryRun })
    const sentence = change.already
      ? `the key ${id} is active already`
      : `the key ${id} ${dryRun ? 'would seal' : 'seals'} from now on`
    await answerKeyChange(
      ctx,
      change,
      sentence,
      dryRun ? [] : ['integrations keys reencrypt   # move what the old key has sealed to it'],
    )
  })
