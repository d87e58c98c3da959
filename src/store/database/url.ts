import { isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { badInput, shellWord } from '../../errors.ts'

/** Where the rows are. */
export type Database =
  | {
      readonly provider: 'sqlite'
      readonly file: string /** Creates and migrates itself. */
      readonly isDefault: boolean
    }
  | { readonly provider: 'postgresql'; readonly url: URL; readonly schema: string }

/** The name of a supported database. */
export type Provider = Database['provider']

const examples =
  'give a URL such as file:/srv/app/integrations.db or postgresql://user@host/database?sslmode=verify-full'

/**
 * Reads a database URL: `file:` with an absolute path or one relative to `cwd`, or `postgresql:` / `postgres:` with an
 * optional `schema` parameter.
 *
 * @throws BAD_INPUT for anything else. The URL is not quoted: it may hold a password.
 */
export function parseDatabaseUrl(text: string, cwd: string): Database {
  if (text.startsWith('file:')) return { provider: 'sqlite', file: filePath(text, cwd), isDefault: false }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw badInput('the database URL is neither file: nor postgresql:', examples)
  }
  // Prisma's parameter: the driver would silently ignore it.
  const schema = url.searchParams.get('schema') ?? 'public'
  url.searchParams.delete('schema')
  if (!url.pathname.slice(1)) throw badInput('the database URL names no database', examples)
  if (schema === '' || schema.includes('\0'))
    throw badInput('the database URL names no schema', 'leave schema= out, or name one')
  // What an unescaped character in a password leads to; the rest of it would be taken for something to show.
  if (/[@#]/.test(url.pathname + url.hash))
    throw badInput('the database URL has @ or # after the host', 'write %40, %23 and %2F for @, # and / in a password')
  return { provider: 'postgresql', url, schema }
}

/** The embedded database used when none is named, below `dataHome` (`$XDG_DATA_HOME`). */
export const defaultDatabase = (dataHome: string): Database => ({
  provider: 'sqlite',
  file: join(dataHome, 'integrations', 'integrations.db'),
  isDefault: true,
})

/** Whether a URL holds a password, which a command line must not. */
export function hasPassword(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  return url.password !== '' || [...url.searchParams.keys()].some((name) => /password/i.test(name))
}

/** The URL of a database as it may be shown: of its parts, those that never hold a password. */
export function displayUrl(database: Database): string {
  if (database.provider === 'sqlite') return `file:${database.file}`
  const { protocol, username, host, pathname, searchParams } = database.url
  const shown = new URLSearchParams()
  for (const name of ['host', 'port', 'sslmode'])
    for (const value of searchParams.getAll(name)) shown.append(name, value)
  if (database.schema !== 'public') shown.set('schema', database.schema)
  return `${protocol}//${username === '' ? '' : `${username}@`}${host}${pathname}${shown.size > 0 ? `?${shown}` : ''}`
}

/** A command to type, as in `db migrate`, with a flag for the database unless DATABASE_URL or nothing at all names it. */
export function commandOn(database: Database, command: string): string {
  const flag =
    database.provider === 'postgresql' || database.isDefault ? [] : ['--database', shellWord(displayUrl(database))]
  return ['integrations', command, ...flag].join(' ')
}

function filePath(text: string, cwd: string): string {
  if (text.includes('?')) throw badInput('a file: URL takes no parameters here', `leave out everything from "?" on`)
  if (text.startsWith('file://')) {
    try {
      return fileURLToPath(text)
    } catch {
      throw badInput('the file: URL names another host', 'write file:/absolute/path or file:relative/path')
    }
  }
  const path = text.slice('file:'.length)
  if (path === '' || path === ':memory:') throw badInput('the file: URL names no file', examples)
  return isAbsolute(path) ? path : resolve(cwd, path)
}
