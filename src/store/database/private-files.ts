import { realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { IntegrationsError, shellWord } from '../../errors.ts'
import type { Database } from './url.ts'

/** The id of the user that a process runs as; undefined on systems without any, where nothing is looked at. */
type User = number | undefined

const refused = (message: string, hint: string) => new IntegrationsError({ code: 'NOT_PERMITTED', message, hint })

/** The mode and owner of a file; undefined where there is none. */
function factsOf(path: string): { mode: number; uid: number; gid: number; dev: number } | undefined {
  try {
    return statSync(path)
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
  { setting, sticky = false, me }: { readonly setting: string; readonly sticky?: boolean; readonly me: User },
): void {
  if (me === undefined) return
  // Before it is made, too: a command must not make what the next one refuses.
  requireUnshared(dirname(folder), me, `name a folder of your own with ${setting}`)
  const facts = factsOf(folder)
  if (!facts) return
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

/**
 * Refuses a folder in which every user could put another file or folder in the place of one of this program's. A folder
 * at which a volume is mounted is left to whom mounts it: Kubernetes has its empty volumes writable by all.
 *
 * @param otherwise the hint for who does not own the folder, and so cannot change its mode
 */
function requireUnshared(folder: string, me: number, otherwise: string): void {
  const facts = factsOf(folder)
  if (!facts || (facts.mode & 0o1002) !== 0o002 || factsOf(dirname(folder))?.dev !== facts.dev) return
  throw refused(
    `every user can replace what is in the folder ${folder}`,
    me && facts.uid !== me ? otherwise : `chmod o-w ${shellWord(folder)}`,
  )
}

/** The files of an embedded database; SQLite's files beside it hold parts of it, and are where a link to it leads. */
function filesOf(file: string): string[] {
  const target = targetOf(file)
  return [file, `${target}-wal`, `${target}-shm`]
}

function targetOf(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

/** An embedded database that other users can read, where secrets are not encrypted; undefined for a private one. */
export function readableByOthers(
  database: Database,
  me: User,
): { readonly message: string; readonly hint: string } | undefined {
  if (me === undefined || database.provider !== 'sqlite') return undefined
  const readable = filesOf(database.file).filter((path) => ((factsOf(path)?.mode ?? 0) & 0o044) !== 0)
  if (readable.length === 0) return undefined
  return {
    message: `other users can read the secrets in the database file ${database.file}`,
    hint: `chmod go-r ${readable.map(shellWord).join(' ')}`,
  }
}

/**
 * Refuses an embedded database that others could change, and of the default database all that others could read or
 * change.
 *
 * @returns the database
 * @throws NOT_PERMITTED
 */
export function requirePrivateDatabase(database: Database, me: User): Database {
  if (me === undefined || database.provider !== 'sqlite') return database
  const { file, isDefault } = database
  if (isDefault) requirePrivateFolder(dirname(file), { setting: 'XDG_DATA_HOME', me })
  else
    for (const path of [file, targetOf(file)])
      requireUnshared(dirname(path), me, 'keep the database in a folder of your own')
  for (const path of filesOf(file)) {
    const { mode, uid } = factsOf(path) ?? { mode: 0, uid: undefined }
    if (isDefault && (mode & 0o077) !== 0) throw sharedFiles([path])
    // The owner, and root, can mend it; of anyone else's file, the file system says what may be done.
    if ((mode & 0o002) !== 0 && (me === 0 || me === uid))
      throw refused(`every user can change the database file ${path}`, `chmod o-w ${shellWord(path)}`)
  }
  return database
}

const sharedFiles = (files: readonly string[]) =>
  refused(`other users can read or change the database file ${files[0]}`, `chmod go= ${files.map(shellWord).join(' ')}`)

/**
 * Looks at the files of an embedded database before SQLite opens it, which makes files beside it that go away again. The
 * mode of another user's file is left to its owner.
 *
 * @param options `onReadable` is told of a file of this program that others can read; without it, the file is refused
 * @returns what to call with the state of the database, before anything is made in it or read from it
 * @throws NOT_PERMITTED, when called so, where others can change or read a file that is this program's alone
 */
export function fileCheck({ database, me, onReadable }: FileCheckOptions): (state: Ownership) => void {
  const files = me === undefined || database.provider !== 'sqlite' ? [] : filesOf(database.file)
  const isMine = me === 0 || (files[0] !== undefined && me === factsOf(files[0])?.uid)
  const shared = isMine ? files.filter((path) => rightsOfOthers(path) !== 0) : []
  const isChangeable = shared.some((path) => (rightsOfOthers(path) & 0o022) !== 0)
  return ({ status, adopted }) => {
    if (shared.length === 0 || adopted || status === 'unmanaged') return
    if (!onReadable || isChangeable) throw sharedFiles(shared)
    onReadable(sharedFiles(shared))
  }
}

interface FileCheckOptions {
  readonly database: Database
  readonly me?: User
  readonly onReadable?: (error: IntegrationsError) => void
}

/** What tells whose a database is. */
interface Ownership {
  readonly status: string
  readonly adopted: boolean
}

/** What others may do with a file. */
function rightsOfOthers(path: string): number {
  const file = factsOf(path)
  if (!file) return 0
  // A group that was given the folder is meant to use what is in it, and Kubernetes gives the files of a volume to a group
  // at each start.
  const folder = factsOf(dirname(path))
  const isShared = folder?.gid === file.gid && (folder.mode & 0o020) !== 0
  return file.mode & (isShared ? 0o007 : 0o077)
}
