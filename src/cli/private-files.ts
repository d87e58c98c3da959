import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { IntegrationsError, shellWord } from '../errors.ts'
import type { Database } from '../store/database/url.ts'

const refused = (message: string, hint: string) => new IntegrationsError({ code: 'NOT_PERMITTED', message, hint })

/** The mode and owner of a file; undefined where there is none, or on a system without owners. */
function factsOf(path: string): { mode: number; uid: number } | undefined {
  try {
    return process.getuid === undefined ? undefined : statSync(path)
  } catch {
    // What opens the file says why it cannot.
    return undefined
  }
}

/**
 * Refuses a folder of this program in which another user could add or replace files. Other users may list it: the
 * files are private.
 *
 * @param options `setting`: the variable that moves the folder elsewhere; `sticky`: whether others may add files, where
 *   they cannot replace any
 * @throws NOT_PERMITTED
 */
export function requirePrivateFolder(
  folder: string,
  { setting, sticky = false }: { readonly setting: string; readonly sticky?: boolean },
): void {
  const facts = factsOf(folder)
  if (!facts) return
  const me = process.getuid?.()
  // Root uses every folder, and may be asked to by the one it belongs to.
  if (me && facts.uid !== me && facts.uid !== 0)
    throw refused(`the folder ${folder} belongs to another user`, `name a folder of your own with ${setting}`)
  if (sticky && (facts.mode & 0o1000) !== 0) return
  if ((facts.mode & 0o022) !== 0)
    throw refused(
      `other users can change what is in the folder ${folder}`,
      // Who does not own a folder cannot change its mode.
      me && facts.uid !== me ? `name a folder of your own with ${setting}` : `chmod go-w ${shellWord(folder)}`,
    )
}

/** The files of an embedded database; SQLite's files beside it hold parts of it. */
const filesOf = (file: string) => [file, `${file}-wal`, `${file}-shm`]

/** A warning of an embedded database that other users can read, where secrets are not encrypted; undefined for a private one. */
export function readableByOthers(database: Database): string | undefined {
  if (database.provider !== 'sqlite') return undefined
  const readable = filesOf(database.file).filter((path) => ((factsOf(path)?.mode ?? 0) & 0o044) !== 0)
  if (readable.length === 0) return undefined
  return `other users can read the secrets in the database file ${database.file}: chmod go-r ${readable.map(shellWord).join(' ')}`
}

/**
 * Refuses an embedded database that others could change, and of the default database all that others could read or
 * change.
 *
 * @returns the database
 * @throws NOT_PERMITTED
 */
export function requirePrivateDatabase(database: Database): Database {
  if (database.provider !== 'sqlite') return database
  const { file, isDefault } = database
  if (isDefault) requirePrivateFolder(dirname(file), { setting: 'XDG_DATA_HOME' })
  for (const path of filesOf(file)) {
    const { mode, uid } = factsOf(path) ?? { mode: 0, uid: undefined }
    if (isDefault && (mode & 0o077) !== 0)
      throw refused(`other users can read or change the database file ${path}`, `chmod go= ${shellWord(path)}`)
    // The owner, and root, can mend it; of anyone else's file, the file system says what may be done.
    const me = process.getuid?.()
    if ((mode & 0o002) !== 0 && (me === 0 || me === uid))
      throw refused(`every user can change the database file ${path}`, `chmod o-w ${shellWord(path)}`)
  }
  return database
}
