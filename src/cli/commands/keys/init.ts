import { Command, Option } from '@commander-js/extra-typings'
import { listKeys, newKeySet, verifyKeys } from '../../../operations/keys/keys.ts'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'
import { keyView } from '../../views/key.ts'

/** `integrations keys init` */
export const command = (ctx: Context) =>
  new Command('init')
    .summary('generate the keys of the database')
    .description(
      'Generate the keys of a database that has none yet, and print where they are stored. Without the keys, the secrets are lost: keep a copy elsewhere. With --print, only print a new key set, for a secret manager whose CLI is the INTEGRATIONS_KEYS_COMMAND.',
    )
    .addOption(new Option('--print', 'print a new key set; touch neither the database nor a file').default(false))
    .addHelpText(
      ...examples('integrations keys init', 'integrations keys init --print | vault kv put secret/integrations keys=-'),
    )
    .action(async ({ print }) => {
      if (print) {
        await ctx.output.json(newKeySet())
        ctx.output.note(
          'store this key set where a command can print it, readable only for people who may read secrets; then:',
        )
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
          ? `the keys of this database already exist, in ${ctx.keys().name}`
          : `the keys of this database are in ${ctx.keys().name}`,
      )
    })
