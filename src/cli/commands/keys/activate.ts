import { Command } from '@commander-js/extra-typings'
import { activateKey } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, keyArgument } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { answerKeyChange, keyView } from '../../views/key.ts'

/** `integrations keys activate` */
export const command = (ctx: Context) =>
  declareChange(new Command('activate'), ctx.output, keyView)
    .summary('encrypt with another key from now on')
    .description(
      'Encrypt with another key from now on. The key that was active still decrypts the values it has encrypted. First check that every machine that uses this database has the new key: a machine without it can change nothing, and cannot read values encrypted from then on.',
    )
    .addArgument(keyArgument())
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations keys activate enc-6f1c2a9d03be'))
    .action(async (id, { dryRun }) => {
      const change = await activateKey(await ctx.store(), { source: ctx.keys(), id }, { dryRun })
      const sentence = change.already
        ? `the key ${id} is already active`
        : `the key ${id} ${dryRun ? 'would encrypt' : 'encrypts'} from now on`
      await answerKeyChange(ctx, change, {
        outcome: outcomeOf(!change.already, dryRun),
        sentence,
        next: dryRun ? [] : ['integrations keys reencrypt'],
      })
    })
