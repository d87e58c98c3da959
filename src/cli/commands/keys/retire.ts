import { Command } from '@commander-js/extra-typings'
import { retireKey } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, keyArgument } from '../../input/arguments.ts'
import { confirmByTyping, confirmOption } from '../../input/consent.ts'
import { outcomeOf } from '../../output/values.ts'
import { answerKeyChange, keyView } from '../../views/key.ts'

/** `integrations keys retire` */
export const command = (ctx: Context) =>
  declareChange(new Command('retire'), ctx.output, keyView)
    .summary('retire a key that no longer encrypts anything')
    .description(
      'Retire a key that no longer encrypts anything. Refused while the key encrypts a value, or is active. A retired key cannot be activated again. The fingerprint and audit keys stay for as long as the database. Keep the key for as long as anything else needs it: earlier backups of the database, replicas that are behind, copies and other databases with the same key set.',
    )
    .addArgument(keyArgument())
    .addOption(confirmOption('key-id', 'the id of the key'))
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations keys retire enc-6f1c2a9d03be',
        'integrations keys retire enc-6f1c2a9d03be --confirm enc-6f1c2a9d03be',
      ),
    )
    .action(async (id, { confirm, dryRun }) => {
      const store = await ctx.store()
      // What is refused is refused before anybody is asked.
      const planned = await retireKey(store, id, { dryRun: true })
      if (!dryRun && !planned.already)
        await confirmByTyping(ctx, {
          word: id,
          confirm,
          warning: `This retires the key ${id} for good; the key set is ${ctx.keys().name}.`,
        })
      const change = dryRun ? planned : await retireKey(store, id, { dryRun })
      const sentence = dryRun
        ? `would retire the key ${id}`
        : `retired the key ${id}: no value of this database needs it any more`
      await answerKeyChange(ctx, change, {
        outcome: outcomeOf(!change.already, dryRun),
        sentence: change.already ? `the key ${id} is already retired` : sentence,
      })
      if (!dryRun)
        ctx.output.note(
          `others may need it: backups of this database from before, replicas that are behind, and copies and other databases with the same key set (${ctx.keys().name}); when none does, you can remove it from the set`,
        )
    })
