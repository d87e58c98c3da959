import { dirname, join, resolve } from 'node:path'
import type { KeySet } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { badInput, keysMissing, systemCode } from '../errors.ts'
import { requirePrivateFolder } from '../store/database/private-files.ts'
import type { Host } from './host.ts'
import { homeFolder, noHome } from './paths.ts'

/** Whether a process with a number is there. */
function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return systemCode(error) !== 'ESRCH'
  }
}

/** The key set that the environment names, read once, when it is first needed. */
export function keySource({ env, argv, cwd, stdin, stdout, stderr }: Host): KeySource {
  const { INTEGRATIONS_KEYS_FILE: file, INTEGRATIONS_KEYS_COMMAND: command } = env
  // At a terminal the command may ask for a passphrase, and Ctrl-C ends it too. Windows has no process groups.
  const onTerminal = [stdin, stdout, stderr].some(({ isTTY }) => isTTY)
  const endGroup = onTerminal || !process.getuid ? undefined : (leader: number) => void process.kill(-leader, 'SIGKILL')
  let source: Promise<KeySource> | undefined
  let loaded: Promise<KeySet> | undefined
  async function open(): Promise<KeySource> {
    if (file && command)
      throw badInput(
        'INTEGRATIONS_KEYS_FILE and INTEGRATIONS_KEYS_COMMAND are both set',
        'unset the one that does not hold the keys of this database',
      )
    // The folder that a container mounts a secret at may be everybody's, as /tmp is: none can replace the file.
    if (!file && !command)
      requirePrivateFolder(dirname(path()), { setting: 'XDG_CONFIG_HOME', sticky: true, me: process.getuid?.() })
    if (!command)
      return (await import('../keys/file.ts')).keyFile(path(), process.getuid?.(), { own: process.pid, runs })
    const { keyCommand } = await import('../keys/command.ts')
    return keyCommand(command, { env, argv, endGroup })
  }
  const path = () => {
    if (file) return resolve(cwd(), file)
    const home = homeFolder(env, 'config')
    if (home) return join(home, 'integrations', 'keys.json')
    throw keysMissing(noHome('keys'), 'set HOME, or name a key file with INTEGRATIONS_KEYS_FILE')
  }
  const opened = () => {
    source ??= open()
    return source
  }
  return {
    get name() {
      return command ? 'INTEGRATIONS_KEYS_COMMAND' : path()
    },
    writable: !command,
    load: async () => {
      const source = await opened()
      // A file may get keys meanwhile, of a process that makes the same database; a command may ask a person each time.
      if (!command) return source.load()
      loaded ??= source.load()
      return loaded
    },
    empty: async () => (await opened()).empty(),
    add: async (keys) => (await opened()).add(keys),
  }
}
