import { join, resolve } from 'node:path'
import type { KeySet } from '../crypto/key-set.ts'
import type { KeySource, KnownDatabase } from '../crypto/key-source.ts'
import { badInput, keysMissing } from '../errors.ts'
import { requirePrivateFolder } from '../store/database/private-files.ts'
import type { Host } from './host.ts'
import { homeFolder, noHome } from './paths.ts'
import { processes } from './processes.ts'

/**
 * What ends a key command with all that it has started. At a terminal it may ask for a passphrase, and Ctrl-C ends it
 * too. Windows has no process groups.
 */
function endGroup({ stdin, stdout, stderr }: Host) {
  const onTerminal = [stdin, stdout, stderr].some(({ isTTY }) => isTTY)
  return onTerminal || !process.getuid ? undefined : (leader: number) => void process.kill(-leader, 'SIGKILL')
}

/** The key set that the environment names, else the one of the database in the user's folder; a command runs once. */
export function keySource(host: Host): KeySource {
  const { env, argv, cwd } = host
  const { INTEGRATIONS_KEYS_FILE: file, INTEGRATIONS_KEYS_COMMAND: command } = env
  const me = process.getuid?.()
  let source: KeySource | undefined
  let printed: Promise<KeySet> | undefined
  async function find(database: KnownDatabase | undefined): Promise<KeySource> {
    if (file && command)
      throw badInput(
        'INTEGRATIONS_KEYS_FILE and INTEGRATIONS_KEYS_COMMAND are both set',
        'unset the one that does not hold the keys of this database',
      )
    if (command)
      return (await import('../keys/command.ts')).keyCommand(command, { env, argv, endGroup: endGroup(host) })
    if (file) return (await import('../keys/file.ts')).keyFile(resolve(cwd(), file), me, processes)
    const home = homeFolder(env, 'config')
    if (!home) throw keysMissing(noHome('keys'), 'set HOME, or name a key file with INTEGRATIONS_KEYS_FILE')
    const folder = join(home, 'integrations')
    const { findKeyFile, setsFolder } = await import('../keys/folder.ts')
    // The folder that a container mounts a secret at may be everybody's, as /tmp is: none can replace the file.
    for (const one of [folder, setsFolder(folder)])
      requirePrivateFolder(one, { setting: 'XDG_CONFIG_HOME', sticky: true, me })
    return findKeyFile(database, { folder, me, processes })
  }
  const opened = async () => {
    source ??= await find(undefined)
    return source
  }
  return {
    get name() {
      return source?.name ?? 'the key set'
    },
    writable: !command,
    load: async (database) => {
      source = await find(database)
      // A file may get keys meanwhile, of a process that makes the same database; a command may ask a person each time.
      if (!command) return source.load(database)
      printed ??= source.load(database)
      return printed
    },
    empty: async () => (await opened()).empty(),
    add: async (keys) => (await opened()).add(keys),
  }
}
