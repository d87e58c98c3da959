import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { KeySource, KnownDatabase } from '../crypto/key-source.ts'
import { isKey, type KnownKey } from '../crypto/keyring.ts'
import { databaseInvalid } from '../errors.ts'
import type { Processes } from '../processes.ts'
import { keyFile } from './file.ts'

/** Where the key sets of a user's databases are, and who reads them. */
interface KeyFolder {
  readonly folder: string
  readonly me: number | undefined
  readonly processes: Processes
}

/** An id as databases get it; it names a file, so nothing else may come of it. */
const idForm = /^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The folder of the sets that are named after databases, in the folder of the keys. */
export const setsFolder = (folder: string): string => join(folder, 'keys')

/**
 * Finds the key set of a database: `keys/<id>.json`, which is made for it alone. A set is known by its audit key, which is
 * never replaced. So a database of an earlier version goes on with the one `keys.json` of all databases, and one that has
 * got another id, as a copy does, with the set of before.
 *
 * @param database undefined: it is still to be made, and its set is nowhere yet
 * @throws DATABASE_INVALID for an id that cannot name a file, and what reading a key file throws
 */
export async function findKeyFile(
  database: KnownDatabase | undefined,
  { folder, me, processes }: KeyFolder,
): Promise<KeySource> {
  const sets = setsFolder(folder)
  const file = (path: string) => keyFile(path, me, processes)
  if (!database) return file(join(sets, 'new.json'))
  const { id, keys } = database
  if (!idForm.test(id))
    throw databaseInvalid(
      'the id of the database in integration_settings is not one that this program has given it',
      'restore the row "id" of integration_settings from a backup; to see what else was changed, name the key file with INTEGRATIONS_KEYS_FILE, and run integrations audit verify',
    )
  const own = file(join(sets, `${id}.json`))
  const audit = keys.filter(({ purpose }) => purpose === 'audit')
  // It knows no keys, so none of the sets that are there is its own, but for one that was just made for it.
  if (audit.length === 0) return own
  const holds = async (source: KeySource) => {
    const set = await source.load(database)
    const isHeld = (known: KnownKey) => {
      const key = set.get(known.id)
      return key !== undefined && isKey(key, known)
    }
    return { audit: audit.some(isHeld), all: keys.every((known) => known.state === 'retired' || isHeld(known)) }
  }
  if ((await holds(own)).audit) return own
  const shared = file(join(folder, 'keys.json'))
  const others = otherSets(sets, id).map((name) => file(join(sets, name)))
  let first: KeySource | undefined
  for (const source of [shared, ...others]) {
    // What is wrong with the keys of other databases is said of those.
    const held = await holds(source).catch(() => undefined)
    if (held?.audit && held.all) return source
    if (held?.audit) first ??= source
  }
  if (first) return first
  // It may be the one.
  await shared.load(database)
  return own
}

/** The names of the files of other databases. */
function otherSets(sets: string, id: string): string[] {
  try {
    return readdirSync(sets)
      .filter((name) => name !== `${id}.json` && idForm.test(name.replace(/\.json$/, '')))
      .sort()
  } catch {
    // None was ever made.
    return []
  }
}
