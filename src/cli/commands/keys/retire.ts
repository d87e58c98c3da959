import { Command } from '@commander-js/extra-typings'
import { retireKey } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { keyView } from '../../views/key.ts'
import { answerKeyChange } from '../../views/key-change.ts'

/** `integrations keys retire` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('retire')
      .summary('give up a key that seals nothing any more')
      .description(
        'Give up a key that seals nothing any more. It is refused while the key seals a value, or is active. The fingerprint and audit keys stay for as long as the database does. Keep the key elsewhere for as long as you keep backups of the database from before.',
      )
      .argument('<key-id>', 'the id of the key, as keys list shows it')
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations keys retire enc-6f1c2a9d03be')),
    ctx.output,
    keyView,
  ).action(async (id, { dryRun }) => {
    const change = await retireKey(await ctx.store(), id, { dryRun })
    const sentence = dryRun ? `would retire the key ${id}` : `retired the key ${id}; it can be taken out of the key set`
    await answerKeyChange(ctx, change, change.already ? `the key ${id} is retired already` : sentence, [])
  })
