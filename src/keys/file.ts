import { existsSync, linkSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jwk, type KeySet, keyFor, keySetText, parseKeySet, purposes, type RootKey } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { IntegrationsError, keysInvalid, keysMissing, shellWord, systemCode } from '../errors.ts'
import { syncFolder, writeDurably } from '../files.ts'

/** How long to wait for another process that changes the key file; it takes a few milliseconds. */
const lockTimeoutMs = 5_000

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
      keysMissing(
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
      // A link to the file stays one, and processes that use another name wait for the same lock.
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
  const deadline = performance.now() + lockTimeoutMs
  while (!writeFile(lock, '', linkSync)) {
    if (performance.now() > deadline)
      throw keysInvalid(
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

/** Whether a set has a key for every purpose that some keys are for. */
function completes(set: KeySet, keys: readonly RootKey[]): boolean {
  const added = new Map(keys.map((key) => [key.id, key]))
  return purposes.every((purpose) => !keyFor(added, purpose) || keyFor(set, purpose))
}

/** A key set with keys added at its end; whatever else is in it, for others, stays. */
function withKeys(text: string, keys: readonly RootKey[]): string {
  const set = (text === '' ? { keys: [] } : JSON.parse(text)) as { keys: unknown[] }
  return `${JSON.stringify({ ...set, keys: [...set.keys, ...keys.map(jwk)] }, null, 2)}\n`
}

/** The text of a file that its owner alone can read; undefined when there is no file. */
function readPrivate(path: string, me: number | undefined): string | undefined {
  const invalid = (why: string, hint: string) => keysInvalid(`the key file ${path} ${why}`, hint)
  try {
    const stats = statSync(path)
    // To read a pipe or a device may take for ever.
    if (!stats.isFile())
      throw invalid(
        `is ${stats.isDirectory() ? 'a folder' : 'not a regular file'}`,
        'name a file with INTEGRATIONS_KEYS_FILE, or with INTEGRATIONS_KEYS_COMMAND what prints the key set',
      )
    const { mode, uid } = stats
    if (me !== undefined && (mode & 0o077) !== 0)
      throw invalid(
        'can be read by others',
        `chmod 600 ${shellWord(path)}; and if others may have read it, replace the keys`,
      )
    // Root reads every file, and may be asked to by the one it belongs to.
    if (me && uid !== me && uid !== 0) throw invalid('belongs to another user', 'use a key file of your own')
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof IntegrationsError) throw error
    const code = systemCode(error)
    if (code === 'ENOENT') return undefined
    throw invalid(`cannot be read (${code})`, 'check that it is a file, and yours to read')
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
    writeDurably(beside, text)
    place(beside, path)
    syncFolder(dirname(path))
    return true
  } catch (error) {
    const code = systemCode(error)
    if (place === linkSync && code === 'EEXIST') return false
    throw keysInvalid(
      `the key file ${path} cannot be written (${code})`,
      'name a place that can be written with INTEGRATIONS_KEYS_FILE',
    )
  } finally {
    rmSync(beside, { force: true })
  }
}
