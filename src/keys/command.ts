import { spawn } from 'node:child_process'
import { childEnvironment } from '../child-environment.ts'
import { parseKeySet } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { keysMissing } from '../errors.ts'

/** How long a command may take to print a key set. */
const commandTimeoutMs = 30_000

/** How long to read on once a command has ended: what it left behind may hold its output open for ever. */
const readOnMs = 200

/** No key set is as large as this. */
const maxOutputBytes = 1024 * 1024

/** How to run a command that prints a key set. */
export interface CommandRun {
  /** Our environment, of which the command has what `childEnvironment` leaves. */
  readonly env: NodeJS.ProcessEnv
  /** Our command line, whose flags name the variables of secrets. */
  readonly argv?: readonly string[]
  /** Ends the process group with this leader. Where it is given, the command has a group of its own, and no terminal to ask at. */
  readonly endGroup?: ((leader: number) => void) | undefined
  /** How long it may take. */
  readonly timeoutMs?: number
}

/** The key set that a command prints, such as a secret manager's CLI. Nothing can be added to it here. */
export function keyCommand(command: string, run: CommandRun): KeySource {
  const name = 'INTEGRATIONS_KEYS_COMMAND'
  return {
    name,
    writable: false,
    load: async () => parseKeySet(await outputOf(command, run), `what ${name} prints`, printsIt),
    empty: async () => keysMissing(`${name} prints a key set without keys`, printsIt),
    add: async () => {
      throw keysMissing(
        `${name} prints no keys that this database can use, and they cannot be added from here`,
        'integrations keys init --print prints a key set to store there',
      )
    },
  }
}

const printsIt = 'run the command by itself, and check that it prints the key set as JSON (a JWK Set)'

/** What a command prints until it ends. @throws KEYS_MISSING when it fails, takes too long or prints too much */
function outputOf(
  command: string,
  { env, argv = [], endGroup, timeoutMs = commandTimeoutMs }: CommandRun,
): Promise<string> {
  return new Promise((done, refused) => {
    const child = spawn(command, {
      shell: true,
      detached: endGroup !== undefined,
      env: childEnvironment(env, { argv, forKeys: true }),
      // Standard input may hold a secret that is meant for this program.
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const giveUp = (why: string) => {
      clearTimeout(timer)
      child.stdout.destroy()
      refused(keysMissing(`INTEGRATIONS_KEYS_COMMAND ${why}`, printsIt))
    }
    const end = (why: string) => {
      // Without a group of its own, what it has started may live on, unawaited.
      if (endGroup && child.pid !== undefined) endGroup(child.pid)
      else child.kill('SIGKILL')
      giveUp(why)
    }
    const timer = setTimeout(() => end(`has printed no key set within ${timeoutMs / 1000} s`), timeoutMs)
    const chunks: Buffer[] = []
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxOutputBytes) end('prints more than 1 MB')
      else chunks.push(chunk)
    })
    child.on('error', () => giveUp('cannot be started'))
    child.on('exit', (code, signal) => {
      if (code !== 0) return giveUp(signal ? `was ended by ${signal}` : `ended with exit code ${code}`)
      clearTimeout(timer)
      // What it printed is in the pipe. A busy machine may be late: look there once more before it is left.
      setTimeout(() => setImmediate(() => child.stdout.destroy()), readOnMs).unref()
    })
    child.on('close', () => done(Buffer.concat(chunks).toString('utf8')))
  })
}
