import { Command } from '@commander-js/extra-typings'
import { verifyKeys } from '../../operations/keys.ts'
import { displayUrl } from '../../store/database.ts'
import { examples } from '../arguments.ts'
import type { Context } from '../context.ts'

/** `integrations init` */
export const initCommand = (ctx: Context) =>
  new Command('init')
    .description(
      'Make a database ready: the file of an embedded one is made when it is not there, and an empty one gets its tables. One that is ready stays as it is.',
    )
    .addHelpText(
      'after',
      examples(
        'integrations init',
        'integrations init --database file:./integrations.db',
        'DATABASE_URL=postgresql://… integrations init',
      ),
    )
    .action(async () => {
      const store = await ctx.store({ create: true })
      await verifyKeys(store)
      await ctx.output.raw(`${displayUrl(store.database)} is ready\n`)
      ctx.output.note('next: integrations workspaces add <name>')
      ctx.output.note('      integrations add')
    })
