import { Command } from '@commander-js/extra-typings'
import { listKeys, unreadableKey } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { keyView } from '../../views/key.ts'

/** `integrations keys list` */
export const command = (ctx: Context) =>
  declareOutput(new Command('list'), ctx.output, keyView)
    .description(
      'List the keys of the database, oldest first: how many current and previous values each key encrypts, and whether the key is in the key set, and where the key set is. Needs no key.',
    )
    .addHelpText(...examples('integrations keys list', 'integrations keys list -o json --fields id,state'))
    .action(async () => {
      const source = ctx.keys()
      const { keys, use, unusable } = await listKeys(await ctx.store(), source)
      await ctx.output.rows(keyView, (emit) => emit(keys), { paged: true })
      for (const one of use)
        if (one.damage) ctx.output.warn(`${unreadableKey(one)}: integrations audit verify names them`)
      if (keys.length === 0) ctx.output.note('this database has no keys yet; the first change generates them')
      else if (unusable) ctx.output.note(`cannot tell which keys are in the key set: ${unusable.message}`)
      else ctx.output.note(`the key set of this database is ${source.name}`)
    })
