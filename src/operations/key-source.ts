import { spawn } from 'node:child_process'
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { IntegrationsError } from '../errors.ts'
import type { KeySource } from '../store/ready.ts'
import { type KeySet, keySetText, parseKeySet, type RootKey } from '../vault/key-set.ts'

/** How long a command may take to print a key set, in milliseconds. */
const commandTimeout = 30_000

/** No key set is as large as this, in bytes. */
const largest = 1024 * 1024

/**
 * The key set in a file: a JWK Set that its owner alone can read. It is made when keys are first added to it.
 */
export function keyFile(path: string): KeySource {
  const load = async (): Promise<KeySet> => {
    const text = readPrivate(path)
    return text === undefined ? new Map() : parseKeySet(text, `the key file ${path}`)
  }
  return {
    name: path,
    load,
    async add(keys) {
      for (;;) {
        const present = await load()
        const whole = new Map([...present, ...keys.map((key) => [key.id, key] as const)])
        if (replaceFile(path, keySetText(whole.values()), present.size === 0)) return whole
        // Another process made the file meanwhile: its keys serve as well as ours, where they are complete.
        if (completes(await load(), keys)) return load()
      }
    },
  }
}

/** Whether a set has a key for every use that some keys are for. */
const completes = (set: KeySet, keys: readonly RootKey[]): boolean =>
  keys.every(({ id }) => {
    const purpose = id.split('-')[0] ?? ''
    return [...set.keys()].some((other) => other.startsWith(`${purpose}-`))
  })

/** The key set that a command prints, such as a vault's own program. Nothing can be added to it here. */
export function keyCommand(command: string): KeySource {
  const name = 'INTEGRATIONS_KEYS_COMMAND'
  return {
    name,
    load: async () => parseKeySet(await outputOf(command), `what ${name} prints`),
    add: async () => {
      throw new IntegrationsError(
        'KEYS_MISSING',
        `${name} prints no keys that this database can use, and they cannot be added from here`,
        'integrations keys init --print prints a key set to store there',
      )
    },
  }
}

function readPrivate(path: string): string | undefined {
  const invalid = (why: string, hint: string) =>
    new IntegrationsError('KEYS_INVALID', `the key file ${path} ${why}`, hint)
  try {
    const { mode, uid } = statSync(path)
    const me = userInfo().uid
    // Windows has no such modes: -1.
    if (me >= 0 && (mode & 0o077) !== 0)
      throw invalid('can be read by others', `chmod 600 ${path}; and if others may have read it, replace the keys`)
    if (me > 0 && uid !== me && uid !== 0) throw invalid('belongs to somebody else', 'use a key file of your own')
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
 * @param fresh only where there is no file yet
 * @returns false when there is one
 */
function replaceFile(path: string, text: string, fresh: boolean): boolean {
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
    if (fresh) linkSync(beside, path)
    else renameSync(beside, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (fresh && code === 'EEXIST') return false
    throw new IntegrationsError(
      'KEYS_INVALID',
      `the key file ${path} cannot be written (${code ?? 'unknown error'})`,
      'name a place that can be written with INTEGRATIONS_KEYS_FILE',
    )
  } finally {
    rmSync(beside, { force: true })
  }
}

function outputOf(command: string): Promise<string> {
  const failed = (why: string) =>
    new IntegrationsError(
      'KEYS_MISSING',
      `INTEGRATIONS_KEYS_COMMAND ${why}`,
      'run the command by itself, and see that it prints the key set',
    )
  return new Promise((done, refused) => {
    // Standard input may hold a secret that is meant for this program.
    const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'inherit'], timeout: commandTimeout })
    const chunks: Buffer[] = []
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > largest) child.kill()
      else chunks.push(chunk)
    })
    child.on('error', () => refused(failed('cannot be started')))
    child.on('close', (code, signal) => {
      if (size > largest) refused(failed('prints more than 1 MB'))
      else if (signal) refused(failed(`was ended after ${commandTimeout / 1000} s, or by a signal`))
      else if (code !== 0) refused(failed(`ended with exit code ${code}`))
      else done(Buffer.concat(chunks).toString('utf8'))
    })
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
