import { Command } from '@commander-js/extra-typings'
import { badInput } from '../../../errors.ts'
import type { Context } from '../../context.ts'
import { declareTextOutput, examples } from '../../input/arguments.ts'

/** `integrations db roles` */
export const command = (ctx: Context) =>
  declareTextOutput(new Command('roles'), ctx.output)
    .summary('print SQL for least-privilege roles')
    .description(
      'Print SQL that creates five roles in PostgreSQL: integrations_support sees everything except secrets, integrations_receiver reads secrets and records their use, integrations_application adds, replaces, pauses and removes integrations for the users of an application, integrations_operator makes changes, integrations_key_admin changes keys and the encryption mode. Connects to no database; run the SQL as the owner of the tables.',
    )
    .addHelpText(
      ...examples('integrations db roles', 'integrations db roles | psql -v ON_ERROR_STOP=1 "$DATABASE_URL"'),
    )
    .action(async () => {
      const database = ctx.database()
      if (database.provider === 'sqlite')
        throw badInput(
          'SQLite has no roles: who can read the file reads all of it',
          'with SQLite the key set is the boundary: keep it from people who must not see secrets',
        )
      const { rolesSql } = await import('../../../store/schema/roles.ts')
      await ctx.output.raw(rolesSql(database.schema))
    })
