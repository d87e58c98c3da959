import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { activateCommand } from './keys/activate.ts'
import { addCommand } from './keys/add.ts'
import { initCommand } from './keys/init.ts'
import { listCommand } from './keys/list.ts'
import { modeCommand } from './keys/mode.ts'
import { reencryptCommand } from './keys/reencrypt.ts'
import { retireCommand } from './keys/retire.ts'
import { statusCommand } from './keys/status.ts'

/** `integrations keys` */
export const keysCommand = (ctx: Context) =>
  new Command('keys')
    .description(
      'The keys that seal secrets. The database knows them by their ids; the keys themselves are in the key set: a file, or what a command prints. To replace the one that seals: add another, distribute the set to every machine that uses the database, activate it, reencrypt, and retire the old one.',
    )
    .addCommand(initCommand(ctx))
    .addCommand(listCommand(ctx))
    .addCommand(statusCommand(ctx))
    .addCommand(addCommand(ctx))
    .addCommand(activateCommand(ctx))
    .addCommand(reencryptCommand(ctx))
    .addCommand(retireCommand(ctx))
    .addCommand(modeCommand(ctx))
