import { Command } from '@commander-js/extra-typings'
import { shellWord } from '../../../errors.ts'
import { addKey, type KeyChange, registerKey } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { answerKeyChange, keyView } from '../../views/key.ts'

/** `integrations keys add` */
export const command = (ctx: Context) =>
  declareChange(new Command('add'), ctx.output, keyView)
    .summary('generate a key that decrypts, and encrypts once it is active')
    .description(
      'Generate a key, add it to the key file, and register it with the database. The key decrypts from then on, and encrypts once it is active: distribute the key set to every machine that uses this database, then activate the key. Where the key set comes from a command, the key is printed for you to store, and a second keys add with its id registers it.',
    )
    .argument('[key-id]', 'existing key to register with this database')
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations keys add', 'integrations keys add enc-6f1c2a9d03be'))
    .action(async (given, { dryRun }) => {
      const [store, source] = [await ctx.store(), ctx.keys()]
      if (given !== undefined) return answer(ctx, await registerKey(store, { source, id: given }, { dryRun }), dryRun)
      const { toStore, ...change } = await addKey(store, source, { dryRun })
      if (!toStore) return answer(ctx, change, dryRun)
      if (dryRun)
        return answerKeyChange(ctx, change, {
          outcome: 'would change',
          sentence: `would print a key to add to the set that ${source.name} prints`,
        })
      await ctx.output.json(toStore)
      ctx.output.note(`add this key to the set that ${source.name} prints; it is not registered with the database yet`)
      ctx.output.note(`next: integrations keys add ${change.key.id}`)
    })

function answer(ctx: Context, change: KeyChange, dryRun: boolean): Promise<void> {
  const { id } = change.key
  const sentence = `${dryRun ? 'would add' : 'added'} the key ${id}, which decrypts and does not encrypt yet`
  return answerKeyChange(ctx, change, {
    outcome: outcomeOf(!change.already, dryRun),
    sentence: change.already ? `the key ${id} is already registered with this database` : sentence,
    next: dryRun ? [] : [`integrations keys activate ${shellWord(id)}`],
  })
}
