import { Command } from '@commander-js/extra-typings'
import { badInput } from '../../../errors.ts'
import type { Context } from '../../context.ts'
import { declareTextOutput, examples } from '../../input/arguments.ts'

/** `integrations db roles` */
export const command = (ctx: Context) =>
  declareTextOutput(
    new Command('roles')
      .summary('print SQL for roles that may do no more than they need')
      .description(
        'Print SQL that makes three roles in PostgreSQL: integrations_support sees everything but secrets, integrations_receiver reads secrets and records their use, integrations_operator makes changes. Nothing is connected to; run the SQL as the owner of the tables.',
      )
      .addHelpText(
        'after',
        examples('integrations db roles', 'integrations db roles | psql -v ON_ERROR_STOP=1 "$DATABASE_URL"'),
      ),
    ctx.output,
  ).action(async () => {
    const database = ctx.database()
    if (database.provider === 'sqlite')
      throw badInput(
        'SQLite has no roles: who can read the file reads all of it',
        'there, the key set is the boundary: give the file without it to those who must not see secrets',
      )
    const { rolesSql } = await import('../../../store/schema/roles.ts')
    await ctx.output.raw(rolesSql(database.schema))
  })
