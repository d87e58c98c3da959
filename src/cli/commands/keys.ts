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
      'The keys that encrypt secrets. The database stores their ids; the keys themselves are in the key set: a file, or the output of a command. To replace the active key: add another key, distribute the key set to every machine that uses the database, activate the new key, reencrypt, and retire the old key.',
    )
    .addCommand(init(ctx))
    .addCommand(list(ctx))
    .addCommand(status(ctx))
    .addCommand(add(ctx))
    .addCommand(activate(ctx))
    .addCommand(reencrypt(ctx))
    .addCommand(retire(ctx))
    .addCommand(mode(ctx))
