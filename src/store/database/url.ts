import { isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { badInput, shellWord } from '../../errors.ts'
import type { Environment } from './postgresql/libpq-files.ts'
import { displayPostgresqlUrl, parsePostgresqlUrl, type Target } from './postgresql/url.ts'

/** Where the rows are. */
export type Database =
  | {
      readonly provider: 'sqlite'
      readonly file: string /** Creates and migrates itself. */
      readonly isDefault: boolean
    }
  | ({ readonly provider: 'postgresql' } & Target)

/** The name of a supported database. */
export type Provider = Database['provider']

const examples =
  'give a URL such as file:/srv/app/integrations.db or postgresql://user@host/database?sslmode=verify-full'

/** What is not the URL of a supported database, with what to say of it. The first counts. */
const others: readonly (readonly [text: RegExp, message: string, hint: string])[] = [
  [/^$/, 'the database URL is empty', examples],
  [
    /^sqlite3?:/i,
    'an SQLite file is named by file: and not by sqlite:',
    'write file:/absolute/path or file:relative/path',
  ],
  [
    /^(libsql|turso|wss?):/i,
    'a remote libsql database is not supported',
    'name a file with file:, or a PostgreSQL database',
  ],
  [
    /^prisma(\+postgres)?:/i,
    "Prisma's proxies are not supported: the program connects to the database itself",
    'give the URL of the database, such as that of DIRECT_URL',
  ],
  [
    /^(mysql|mariadb|sqlserver|mssql|mongodb|cockroachdb|oracle|redis)(\+\w+)?:/i,
    'this kind of database is not supported: SQLite and PostgreSQL are',
    examples,
  ],
  [
    /^(jdbc:postgres|postgres(ql)?\+\w+:)/i,
    'the database URL is written for a driver of another language',
    'begin it with postgresql:// and put the user before the host, as in postgresql://user@host/database',
  ],
  [
    /^https?:/i,
    'the database URL is the address of a web page',
    'give the URL for connections, which begins with postgresql://',
  ],
  [
    /^(\$\{?\w|%\w+%$|\{\{)/,
    'the database URL is the name of a variable that was not replaced by its value',
    'check how the variable is set: quotes, or the reader of the file, can keep a name from being replaced',
  ],
  [
    /^.*?[^\w.+](postgres(ql)?:\/\/|file:)/is,
    'the database URL begins with something else',
    'leave out all that is before postgresql:// or file:',
  ],
  [/^(\w+ )?\w+\s*=/, 'the database URL is a list of settings', 'write it as postgresql://user@host:port/database'],
  [
    /^(:memory:|~|[a-z]:\\|\.{0,2}\/(?!\/)|[^@:/]+\.(db|db3|sqlite|sqlite3)$)/i,
    'a path is not a database URL',
    'write file:/absolute/path or file:relative/path',
  ],
  [
    /^((postgres(ql)?|pg|psql)[:/]|(\/\/)?[^/\s]*(@|:\d+\/)|localhost)/i,
    'the database URL does not begin with postgresql://',
    'write it as postgresql://user@host:port/database',
  ],
]

/**
 * Reads a database URL: `file:` with an absolute path or one relative to `cwd`, or `postgresql:` / `postgres:` as
 * PostgreSQL's own programs take it, with an optional `schema` parameter.
 *
 * @param context `env`: the variables of PostgreSQL's own programs, which stand for what the URL leaves out
 * @throws BAD_INPUT for anything else. The URL is not quoted: it may hold a password.
 */
export function parseDatabaseUrl(
  given: string,
  { cwd, env }: { readonly cwd: string; readonly env: Environment },
): Database {
  // A file or a program that sets variables may leave white space and quotes.
  const text = given
    .trim()
    .replace(/^(["'])(.*)\1$/s, '$2')
    .trim()
  if (/^file:/i.test(text)) return { provider: 'sqlite', file: filePath(text, cwd), isDefault: false }
  if (/^postgres(ql)?:\/\//i.test(text)) return { provider: 'postgresql', ...parsePostgresqlUrl(text, env) }
  const [, message, hint] = others.find(([texts]) => texts.test(text)) ?? []
  throw badInput(message ?? 'the database URL is neither file: nor postgresql:', hint ?? examples)
}

/** The embedded database used when none is named, below `dataHome` (`$XDG_DATA_HOME`). */
export const defaultDatabase = (dataHome: string): Database => ({
  provider: 'sqlite',
  file: join(dataHome, 'integrations', 'integrations.db'),
  isDefault: true,
})

/** Whether a URL holds a password, which a command line must not; it may hold it unescaped. */
export const hasPassword = (text: string): boolean =>
  /^[^/?#]*:\/\/[^@?]*:[^@]*@/.test(text) || /[?&][^=&]*password[^=&]*=/i.test(text)

/** The URL of a database as it may be shown: of its parts, those that never hold a password. */
export const displayUrl = (database: Database): string =>
  database.provider === 'sqlite' ? `file:${database.file}` : displayPostgresqlUrl(database)

/** A command to type, as in `db migrate`, with a flag for the database unless DATABASE_URL or nothing at all names it. */
export function commandOn(database: Database, command: string): string {
  const flag =
    database.provider === 'postgresql' || database.isDefault ? [] : ['--database', shellWord(displayUrl(database))]
  return ['integrations', command, ...flag].join(' ')
}

function filePath(text: string, cwd: string): string {
  const [, name = '', query] = /^([^?]*)(?:\?(.*))?$/s.exec(text) ?? []
  // Settings of Prisma's connection pool say nothing about the file.
  if (
    query !== undefined &&
    !/^((connection_limit|connect_timeout|pool_timeout|socket_timeout)=\d*(&|$))*$/.test(query)
  )
    throw badInput('a file: URL takes no parameters here', `leave out everything from "?" on`)
  if (/^file:\w+:\/\//i.test(name))
    throw badInput('the database URL is a file: URL with another URL in it', 'leave file: out')
  if (/^file:\/\//i.test(name)) {
    try {
      return fileURLToPath(name)
    } catch {
      throw badInput('the file: URL names another host', 'write file:/absolute/path or file:relative/path')
    }
  }
  const path = name.slice('file:'.length)
  if (path === '' || path === ':memory:') throw badInput('the file: URL names no file', examples)
  return isAbsolute(path) ? path : resolve(cwd, path)
}
