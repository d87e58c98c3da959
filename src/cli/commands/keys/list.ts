import { Command } from '@commander-js/extra-typings'
import { listKeys } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { keyView } from '../../views/key.ts'

/** `integrations keys list` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('list')
      .description(
        'List the keys that the database knows, oldest first, with how many current and previous values each seals, and whether it is in the key set. Needs no key.',
      )
      .addHelpText('after', examples('integrations keys list', 'integrations keys list -o json --fields id,state')),
    ctx.output,
    keyView,
  ).action(async () => {
    const { keys, unusable } = await listKeys(await ctx.store(), ctx.keys())
    await ctx.output.rows(keyView, (emit) => emit(keys))
    if (keys.length === 0) ctx.output.note('this database knows no keys yet; its first change makes them')
    else if (unusable) ctx.output.note(`whether they are in the key set is not known: ${unusable.message}`)
  })
