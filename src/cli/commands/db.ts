import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as adopt } from './db/adopt.ts'
import { command as migrate } from './db/migrate.ts'
import { command as roles } from './db/roles.ts'
import { command as status } from './db/status.ts'

/** `integrations db` */
export const command = (ctx: Context) =>
  new Command('db')
    .description(
      'The database itself. The embedded default database is created and migrated automatically, any other database only on request.',
    )
    .addCommand(status(ctx))
    .addCommand(migrate(ctx))
    .addCommand(adopt(ctx))
    .addCommand(roles(ctx))
