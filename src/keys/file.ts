import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { jwk, type KeySet, keyFor, keySetText, parseKeySet, purposes, type RootKey } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { IntegrationsError, keysInvalid, keysMissing, shellWord, systemCode } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { syncFolder, writeDurably } from '../files.ts'
import type { Processes } from '../processes.ts'
import { locked } from './lock.ts'

/** How long to wait for another process that changes the key file; it takes a few milliseconds. */
const lockTimeoutMs = 5_000

/**
 * The key set in a file: a JWK Set that its owner alone can read. It is made when keys are first added to it.
 *
 * @param me the user id that this process runs as; undefined on systems without any
 * @param processes lets it clean up after a process that was killed
 */
export function keyFile(path: string, me: number | undefined, processes?: Processes): KeySource {
  const read = () => {
    const text = readPrivate(path, me)
    return text === undefined ? undefined : parseKeySet(text, `the key file ${path}`)
  }
  /** Whether there was no file when the keys were loaded, for which others are then made. */
  let foundNone = false
  return {
    name: path,
    writable: true,
    async load() {
      const keys = read()
      foundNone = keys === undefined
      if (processes) await removeLeftover(path, processes)
      return keys ?? new Map()
    },
    empty: async () =>
      keysMissing(
        `the key file ${path} ${existsSync(path) ? 'holds no keys' : 'does not exist'}`,
        'ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys',
      ),
    async add(keys) {
      const isNew = foundNone || read() === undefined
      if (keys.length > 0) foundNone = false
      // A link to the file stays one, and processes that use another name wait for the same lock.
      const target = existsSync(path) ? realpathSync(path) : path
      try {
        mkdirSync(dirname(target), { recursive: true, mode: 0o700 })
        const lock = `${target}.lock`
        const done = await locked({ lock, waitMs: lockTimeoutMs, processes }, () => {
          const present = read()
          // Another process made the file meanwhile: its keys serve as well as ours, where they are complete.
          if (isNew && present && completes(present, keys)) return present
          // The lock was a file beside it: keys can be written.
          if (keys.length === 0) return present ?? new Map()
          const text = present && readPrivate(target, me)
          replace(target, text === undefined ? keySetText(keys) : withKeys(text, keys))
          return read() ?? new Map()
        })
        if (done) return done.result
        throw keysInvalid(
          `another process is changing the key file ${target}, or was killed while it did`,
          `when no other one runs: rm ${shellWord(lock)}`,
        )
      } catch (error) {
        if (error instanceof IntegrationsError) throw error
        throw keysInvalid(
          `the key file ${target} cannot be written (${systemCode(error)})`,
          'name a place that can be written with INTEGRATIONS_KEYS_FILE',
        )
      }
    },
  }
}

/** What a file is written as, before it is whole. The name is the same each time, so that no copy of the keys is forgotten. */
const unfinished = (path: string) => `${path}.new`

/** Puts a text in the place of a file, whole or not at all, so that it survives a crash; only for the holder of its lock. */
function replace(path: string, text: string): void {
  const beside = unfinished(path)
  try {
    rmSync(beside, { force: true })
    writeDurably(beside, text)
    failpoint('keys written')
    renameSync(beside, path)
    failpoint('keys in place')
    syncFolder(dirname(path))
  } finally {
    rmSync(beside, { force: true })
  }
}

/** Removes what a process that was killed has left beside the file: a copy of the keys. */
async function removeLeftover(path: string, processes: Processes): Promise<void> {
  try {
    const target = realpathSync(path)
    const beside = unfinished(target)
    if (existsSync(beside))
      await locked({ lock: `${target}.lock`, waitMs: 0, processes }, () => rmSync(beside, { force: true }))
  } catch {
    // The file does not exist yet, or this user may not write to its folder.
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
    if (code === 'ENOENT') {
      if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return undefined
      throw invalid('is a link to a file that does not exist', 'check that the disk or volume of that file is mounted')
    }
    throw invalid(`cannot be read (${code})`, 'check that it is a file, and yours to read')
  }
}
