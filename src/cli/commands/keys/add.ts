import { Command } from '@commander-js/extra-typings'
import { shellWord } from '../../../errors.ts'
import { addKey, registerKey } from '../../../operations/keys.ts'
import { answers, examples } from '../../arguments.ts'
import type { Context } from '../../context.ts'
import { answerKeyChange } from '../../key-changes.ts'
import { keyView } from '../../key-views.ts'

/** `integrations keys add` */
export const addCommand = (ctx: Context) =>
  answers(
    new Command('add')
      .summary('make a key that opens, and seals once it is active')
      .description(
        'Make a key, add it to the key file, and tell the database of it. It opens values from then on, and seals none until it is active: distribute the key set to every machine that uses this database, then activate. Where the set comes from a command, the key is printed to be stored there, and the database is told of it by a second keys add with its id.',
      )
      .argument('[key-id]', 'a key that is in the set already, which this database is to be told of')
      .addHelpText('after', examples('integrations keys add', 'integrations keys add seal-6f1c2a9d03be')),
    ctx.output,
    keyView,
  ).action(async (given) => {
    const store = await ctx.store()
    const { id, already, toStore } =
      given === undefined
        ? { already: false, toStore: undefined, ...(await addKey(store, ctx.keys())) }
        : { toStore: undefined, ...(await registerKey(store, ctx.keys(), given)) }
    if (toStore) {
      await ctx.output.json(toStore)
      ctx.output.note(`add this key to the set that ${ctx.keys().name} prints; the database has not been told of it`)
      ctx.output.note(`next: integrations keys add ${id}   # once the command prints it, on every machine`)
      return
    }
    await answerKeyChange(
      ctx,
      id,
      already ? `this database knows the key ${id} already` : `added the key ${id}, which opens and does not seal yet`,
      [`integrations keys activate ${shellWord(id)}   # once every machine that uses this database has the key`],
    )
  })
