import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { IntegrationsError, shellWord } from '../errors.ts'
import type { KeySource } from '../store/ready.ts'
import { jwk, type KeySet, keySetText, parseKeySet, type RootKey } from '../vault/key-set.ts'

/** How long a command may take to print a key set, in milliseconds. */
const commandTimeout = 30_000

/** How long to wait for another process that changes the key file, in milliseconds; it takes a few. */
const lockTimeout = 5_000

/** How long to read on once a command has ended, in milliseconds: what it left behind may hold its output open for ever. */
const readOn = 200

/** No key set is as large as this, in bytes. */
const largest = 1024 * 1024

/** What lets somebody into a database is not for the program of a vault. */
const withheld = ['DATABASE_URL', 'PGPASSWORD'] as const

/**
 * The key set in a file: a JWK Set that its owner alone can read. It is made when keys are first added to it.
 *
 * @param me the user id that this process runs as; undefined on systems without any
 */
export function keyFile(path: string, me: number | undefined): KeySource {
  const read = () => {
    const text = readPrivate(path, me)
    return text === undefined ? undefined : parseKeySet(text, `the key file ${path}`)
  }
  const load = async (): Promise<KeySet> => read() ?? new Map()
  return {
    name: path,
    writable: true,
    load,
    empty: async () =>
      new IntegrationsError(
        'KEYS_MISSING',
        `the key file ${path} ${existsSync(path) ? 'holds no keys' : 'does not exist'}`,
        'restore it from a backup, or name the one of this database with INTEGRATIONS_KEYS_FILE',
      ),
    async add(keys) {
      if (read() === undefined) {
        if (writeFile(path, keySetText(keys), linkSync)) return load()
        // Another process made the file meanwhile: its keys serve as well as ours, where they are complete.
        const present = await load()
        if (completes(present, keys)) return present
      }
      // A link to the file stays one, and whoever comes by another name waits for the same lock.
      const target = realpathSync(path)
      return locked(target, () => {
        writeFile(target, withKeys(readPrivate(target, me) ?? '', keys), renameSync)
        return read() ?? new Map()
      })
    },
  }
}

/** Runs `work` while no other process of this program changes a file, so that none takes back what another has added. */
async function locked<T>(path: string, work: () => T): Promise<T> {
  const lock = `${path}.lock`
  const deadline = performance.now() + lockTimeout
  while (!writeFile(lock, '', linkSync)) {
    if (performance.now() > deadline)
      throw new IntegrationsError(
        'KEYS_INVALID',
        `another process is changing the key file ${path}, or was killed while it did`,
        `when no other one runs: rm ${shellWord(lock)}`,
      )
    await sleep(50)
  }
  try {
    return work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/** Whether a set has a key for every use that some keys are for. */
const completes = (set: KeySet, keys: readonly RootKey[]): boolean =>
  keys.every(({ id }) => {
    const purpose = id.split('-')[0] ?? ''
    return [...set.keys()].some((other) => other.startsWith(`${purpose}-`))
  })

/** How to run a command that prints a key set. */
export interface CommandRun {
  /** Our environment; the command has it without what leads into the database. */
  readonly env: NodeJS.ProcessEnv
  /** Ends the process group with this leader. Where it is given, the command has a group of its own, and no terminal to ask at. */
  readonly endGroup?: ((leader: number) => void) | undefined
  /** How long it may take, in milliseconds. */
  readonly timeout?: number
}

/** The key set that a command prints, such as a vault's own program. Nothing can be added to it here. */
export function keyCommand(command: string, run: CommandRun): KeySource {
  const name = 'INTEGRATIONS_KEYS_COMMAND'
  return {
    name,
    writable: false,
    load: async () => parseKeySet(await outputOf(command, run), `what ${name} prints`, printsIt),
    empty: async () => new IntegrationsError('KEYS_MISSING', `${name} prints a key set without keys`, printsIt),
    add: async () => {
      throw new IntegrationsError(
        'KEYS_MISSING',
        `${name} prints no keys that this database can use, and they cannot be added from here`,
        'integrations keys init --print prints a key set to store there',
      )
    },
  }
}

const printsIt = 'run the command by itself, and see that it prints the key set as JSON (a JWK Set)'

/** A key set with keys added at its end; whatever else is in it, for others, stays. */
function withKeys(text: string, keys: readonly RootKey[]): string {
  const set = (text === '' ? { keys: [] } : JSON.parse(text)) as { keys: unknown[] }
  return `${JSON.stringify({ ...set, keys: [...set.keys, ...keys.map(jwk)] }, null, 2)}\n`
}

/** Has the disk keep what a folder lists: without it, a power loss may take a file that was written. */
export function syncFolder(folder: string): void {
  try {
    const opened = openSync(folder, 'r')
    try {
      fsyncSync(opened)
    } finally {
      closeSync(opened)
    }
  } catch {
    // Windows opens no folders.
  }
}

/** The text of a file that nobody else can read; undefined when there is no file. */
function readPrivate(path: string, me: number | undefined): string | undefined {
  const invalid = (why: string, hint: string) =>
    new IntegrationsError('KEYS_INVALID', `the key file ${path} ${why}`, hint)
  try {
    const stats = statSync(path)
    // To read a pipe or a device may take for ever.
    if (!stats.isFile())
      throw invalid(
        `is ${stats.isDirectory() ? 'a folder' : 'no regular file'}`,
        'name a file with INTEGRATIONS_KEYS_FILE, or with INTEGRATIONS_KEYS_COMMAND what prints the key set',
      )
    const { mode, uid } = stats
    if (me !== undefined && (mode & 0o077) !== 0)
      throw invalid(
        'can be read by others',
        `chmod 600 ${shellWord(path)}; and if others may have read it, replace the keys`,
      )
    // Root reads every file, and may be asked to by the one it belongs to.
    if (me && uid !== me && uid !== 0) throw invalid('belongs to somebody else', 'use a key file of your own')
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof IntegrationsError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw invalid(`cannot be read (${code ?? 'unknown error'})`, 'see that it is a file, and yours to read')
  }
}

/**
 * Writes a file that its owner alone can read, whole or not at all, so that it survives a crash.
 *
 * @param place puts the finished file where it belongs: a link only where there is none yet, a rename in any case
 * @returns false when there is one already
 */
function writeFile(path: string, text: string, place: (from: string, to: string) => void): boolean {
  const beside = `${path}.${crypto.randomUUID()}`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const file = openSync(beside, 'wx', 0o600)
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    place(beside, path)
    syncFolder(dirname(path))
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (place === linkSync && code === 'EEXIST') return false
    throw new IntegrationsError(
      'KEYS_INVALID',
      `the key file ${path} cannot be written (${code ?? 'unknown error'})`,
      'name a place that can be written with INTEGRATIONS_KEYS_FILE',
    )
  } finally {
    rmSync(beside, { force: true })
  }
}

/** What a command prints until it ends. @throws KEYS_MISSING when it fails, takes too long or prints too much */
function outputOf(command: string, { env, endGroup, timeout = commandTimeout }: CommandRun): Promise<string> {
  return new Promise((done, refused) => {
    const child = spawn(command, {
      shell: true,
      detached: endGroup !== undefined,
      env: Object.fromEntries(Object.entries(env).filter(([name]) => !withheld.some((one) => one === name))),
      // Standard input may hold a secret that is meant for this program.
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const giveUp = (why: string) => {
      clearTimeout(timer)
      child.stdout.destroy()
      refused(new IntegrationsError('KEYS_MISSING', `INTEGRATIONS_KEYS_COMMAND ${why}`, printsIt))
    }
    const end = (why: string) => {
      // Without a group of its own, what it has started may live on; nobody waits for that.
      if (endGroup && child.pid !== undefined) endGroup(child.pid)
      else child.kill('SIGKILL')
      giveUp(why)
    }
    const timer = setTimeout(() => end(`has printed no key set within ${timeout / 1000} s`), timeout)
    const chunks: Buffer[] = []
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > largest) end('prints more than 1 MB')
      else chunks.push(chunk)
    })
    child.on('error', () => giveUp('cannot be started'))
    child.on('exit', (code, signal) => {
      if (code !== 0) return giveUp(signal ? `was ended by ${signal}` : `ended with exit code ${code}`)
      clearTimeout(timer)
      // What it printed is in the pipe. A busy machine may be late: look there once more before it is left.
      setTimeout(() => setImmediate(() => child.stdout.destroy()), readOn).unref()
    })
    child.on('close', () => done(Buffer.concat(chunks).toString('utf8')))
  })
}

/** A source that is read once. */
export function once(source: KeySource): KeySource {
  let loaded: Promise<KeySet> | undefined
  return {
    ...source,
    load: () => {
      loaded ??= source.load()
      return loaded
    },
    add: (keys) => {
      loaded = source.add(keys)
      return loaded
    },
  }
}
