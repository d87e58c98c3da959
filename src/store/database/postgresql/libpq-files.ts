import { readFileSync, type Stats, statSync } from 'node:fs'
import { homedir, platform } from 'node:os'
import { join } from 'node:path'
import { badInput, IntegrationsError, shellWord } from '../../../errors.ts'

/** What a line of a password file is about. */
interface Login {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** Where the packages of systems put the socket of a server. */
export const socketFolders: readonly string[] = ['/var/run/postgresql', '/tmp']

/** Variables of the environment, by name. */
export interface Environment {
  readonly [name: string]: string | undefined
}

/** The password file of PostgreSQL's own programs. */
export interface PasswordFile {
  readonly path: string
  /** Whether messages may show the path: one in a URL may be anything. */
  readonly shown: boolean
}

/** The password file that a URL names, or that the environment does. @param named empty for none */
export const passwordFile = (named: string, { PGPASSFILE }: Environment): PasswordFile =>
  named === '' ? { path: PGPASSFILE || join(homedir(), '.pgpass'), shown: true } : { path: named, shown: false }

/**
 * Reads the password for a login from a password file.
 *
 * @param where the database as it may be shown
 * @throws NOT_PERMITTED when there is none, or others may read the file
 */
export function passwordFrom({ path, shown }: PasswordFile, login: Login, where: string): string {
  if (platform() !== 'win32' && ((regularFile(path)?.mode ?? 0) & 0o077) !== 0)
    throw new IntegrationsError({
      code: 'NOT_PERMITTED',
      message: `no password for ${where}: other users may read the password file, which is not used for that reason`,
      hint: shown ? `chmod 600 ${shellWord(path)}` : 'give the password file the mode 0600',
    })
  const password = passwordIn(read(path) ?? '', login)
  if (password !== undefined) return password
  throw new IntegrationsError({
    code: 'NOT_PERMITTED',
    message: `no password for ${where}, which asks for one`,
    hint: 'put the password into DATABASE_URL, PGPASSWORD or ~/.pgpass (mode 0600)',
  })
}

function passwordIn(text: string, { host, port, database, user }: Login): string | undefined {
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    // A backslash keeps a colon, or another backslash, from being read as more than itself.
    const fields = [...line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g)].map(([, field = '']) =>
      field.replace(/\\(.)/g, '$1'),
    )
    const [password, ...others] = [fields[4], ...fields.slice(0, 4)]
    // The usual sockets are entered as localhost.
    const hosts = socketFolders.includes(host) ? [host, 'localhost'] : [host]
    const wanted = [hosts, [String(port)], [database], [user]]
    const matches = (values: readonly string[], given = '') => given === '*' || values.includes(given)
    if (password && wanted.every((values, place) => matches(values, others[place]))) return password
  }
  return undefined
}

/**
 * Reads what a service stands for from the connection service file of PostgreSQL's own programs.
 *
 * @param name the service, which no message shows: it may be a part of a URL
 * @throws BAD_INPUT when no service file has the service
 */
export function readService(name: string, { PGSERVICEFILE, PGSYSCONFDIR }: Environment): ReadonlyMap<string, string> {
  const files = [
    PGSERVICEFILE || join(homedir(), '.pg_service.conf'),
    ...(PGSYSCONFDIR ? [join(PGSYSCONFDIR, 'pg_service.conf')] : []),
  ]
  for (const file of files) {
    const found = sections(read(file) ?? '').get(name)
    if (found) return found
  }
  throw badInput(
    'the service that service= or PGSERVICE names is not in the service file',
    'add the service to ~/.pg_service.conf or to the file that PGSERVICEFILE names, or correct its name',
  )
}

function sections(text: string): Map<string, Map<string, string>> {
  const found = new Map<string, Map<string, string>>()
  let current: Map<string, string> | undefined
  for (const line of text.split(/\r?\n/).map((one) => one.trim())) {
    const section = /^\[(.*)\]$/.exec(line)?.[1]
    if (section !== undefined) {
      current = new Map()
      // The first of the same name counts.
      if (!found.has(section)) found.set(section, current)
    }
    const [, key, value] = /^([a-z_]+)\s*=\s*(.*)$/.exec(line) ?? []
    if (key !== undefined && value !== undefined) current?.set(key, value)
  }
  return found
}

/** What there is of a regular file: anything else, such as /dev/null or a pipe, is as if it were not there. */
function regularFile(path: string): Stats | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats?.isFile() ? stats : undefined
}

function read(file: string): string | undefined {
  try {
    return regularFile(file) && readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
