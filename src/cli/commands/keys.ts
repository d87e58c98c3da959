import { group } from './group.ts'
import { command as activate } from './keys/activate.ts'
import { command as add } from './keys/add.ts'
import { command as init } from './keys/init.ts'
import { command as list } from './keys/list.ts'
import { command as mode } from './keys/mode.ts'
import { command as reencrypt } from './keys/reencrypt.ts'
import { command as retire } from './keys/retire.ts'
import { command as status } from './keys/status.ts'

/** `integrations keys` */
export const command = group(
  'keys',
  'The keys that encrypt secrets. The database stores their ids; the keys themselves are in the key set: a file, or the output of a command. To replace the active key: add another key, distribute the key set to every machine that uses the database, activate the new key, reencrypt, and retire the old key.',
  [init, list, status, add, activate, reencrypt, retire, mode],
)
