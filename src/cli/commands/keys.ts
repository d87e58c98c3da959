import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as activate } from './keys/activate.ts'
import { command as add } from './keys/add.ts'
import { command as init } from './keys/init.ts'
import { command as list } from './keys/list.ts'
import { command as mode } from './keys/mode.ts'
import { command as reencrypt } from './keys/reencrypt.ts'
import { command as retire } from './keys/retire.ts'
import { command as status } from './keys/status.ts'

/** `integrations keys` */
export const command = (ctx: Context) =>
  new Command('keys')
    .description(
      'The keys that seal secrets. The database knows them by their ids; the keys themselves are in the key set: a file, or what a command prints. To replace the one that seals: add another, distribute the set to every machine that uses the database, activate it, reencrypt, and retire the old one.',
    )
    .addCommand(init(ctx))
    .addCommand(list(ctx))
    .addCommand(status(ctx))
    .addCommand(add(ctx))
    .addCommand(activate(ctx))
    .addCommand(reencrypt(ctx))
    .addCommand(retire(ctx))
    .addCommand(mode(ctx))
