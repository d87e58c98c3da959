import { Command, Option } from '@commander-js/extra-typings'
import { listKeys, newKeySet, verifyKeys } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'
import { keyView } from '../../views/key.ts'

/** `integrations keys init` */
export const command = (ctx: Context) =>
  new Command('init')
    .summary('make the keys of the database')
    .description(
      'Make the keys of a database that knows none yet, and say where they are. Whoever loses them loses the secrets: keep a copy elsewhere. With --print, a new key set goes to standard output, for a vault that INTEGRATIONS_KEYS_COMMAND reads, and nothing else is done.',
    )
    .addOption(new Option('--print', 'print a new key set; touch neither the database nor a file').default(false))
    .addHelpText(
      'after',
      examples('integrations keys init', 'integrations keys init --print | vault kv put secret/integrations keys=-'),
    )
    .action(async ({ print }) => {
      if (print) {
        await ctx.output.json(newKeySet())
        ctx.output.note('store this where a command can print it, for those alone who may read secrets; then:')
        ctx.output.note("next: export INTEGRATIONS_KEYS_COMMAND='the command that prints it'")
        ctx.output.note('      integrations keys init')
        return
      }
      ctx.output.check(keyView)
      const store = await ctx.store()
      const known = await store.read((db) => db.keys.list())
      await verifyKeys(store)
      const { keys } = await listKeys(store, ctx.keys())
      await ctx.output.rows(keyView, (emit) => emit(keys))
      ctx.output.note(
        known.length > 0
          ? `the keys of this database are there already, in ${ctx.keys().name}`
          : `the keys of this database are in ${ctx.keys().name}`,
      )
    })
