import { join, resolve } from 'node:path'
import type { KeySource } from '../crypto/key-source.ts'
import { badInput, keysMissing } from '../errors.ts'
import type { Host } from './host.ts'
import { homeFolder, noHome } from './paths.ts'

/** The key set that the environment names. Nothing is looked at until it is needed. */
export function keySource({ env, cwd, stdin, stdout, stderr }: Host): KeySource {
  const { INTEGRATIONS_KEYS_FILE: file, INTEGRATIONS_KEYS_COMMAND: command } = env
  // At a terminal the command may ask for a passphrase, and Ctrl-C ends it too. Windows has no process groups.
  const onTerminal = [stdin, stdout, stderr].some(({ isTTY }) => isTTY)
  const endGroup = onTerminal || !process.getuid ? undefined : (leader: number) => void process.kill(-leader, 'SIGKILL')
  let source: Promise<KeySource> | undefined
  async function open(): Promise<KeySource> {
    if (file && command)
      throw badInput(
        'INTEGRATIONS_KEYS_FILE and INTEGRATIONS_KEYS_COMMAND are both set',
        'unset the one that does not hold the keys of this database',
      )
    const { cached } = await import('../keys/cached.ts')
    if (!command) return cached((await import('../keys/file.ts')).keyFile(path(), process.getuid?.()))
    return cached((await import('../keys/command.ts')).keyCommand(command, { env, endGroup }))
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
    load: async () => (await opened()).load(),
    empty: async () => (await opened()).empty(),
    add: async (keys) => (await opened()).add(keys),
  }
}
