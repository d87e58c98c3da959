import { Command } from '@commander-js/extra-typings'
import { shellWord } from '../../../errors.ts'
import { addKey, type KeyChange, registerKey } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { keyView } from '../../views/key.ts'
import { answerKeyChange } from '../../views/key-change.ts'

/** `integrations keys add` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('add')
      .summary('make a key that opens, and seals once it is active')
      .description(
        'Make a key, add it to the key file, and tell the database of it. It opens values from then on, and seals none until it is active: distribute the key set to every machine that uses this database, then activate. Where the set comes from a command, the key is printed to be stored there, and the database is told of it by a second keys add with its id.',
      )
      .argument('[key-id]', 'a key that is in the set already, which this database is to be told of')
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations keys add', 'integrations keys add enc-6f1c2a9d03be')),
    ctx.output,
    keyView,
  ).action(async (given, { dryRun }) => {
    const [store, source] = [await ctx.store(), ctx.keys()]
    if (given !== undefined) return answer(ctx, await registerKey(store, source, given, { dryRun }), dryRun)
    const { toStore, ...change } = await addKey(store, source, { dryRun })
    if (!toStore) return answer(ctx, change, dryRun)
    if (dryRun)
      return answerKeyChange(ctx, change, `would print a key to add to the set that ${source.name} prints`, [])
    await ctx.output.json(toStore)
    ctx.output.note(`add this key to the set that ${source.name} prints; the database has not been told of it`)
    ctx.output.note(`next: integrations keys add ${change.key.id}   # once the command prints it, on every machine`)
  })

function answer(ctx: Context, change: KeyChange, dryRun: boolean): Promise<void> {
  const { id } = change.key
  const sentence = `${dryRun ? 'would add' : 'added'} the key ${id}, which opens and does not seal yet`
  return answerKeyChange(
    ctx,
    change,
    change.already ? `this database knows the key ${id} already` : sentence,
    dryRun
      ? []
      : [`integrations keys activate ${shellWord(id)}   # once every machine that uses this database has the key`],
  )
}
