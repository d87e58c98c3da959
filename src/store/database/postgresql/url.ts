import { existsSync } from 'node:fs'
import { badInput } from '../../../errors.ts'
import { type Environment, type PasswordFile, passwordFile, readService, socketFolders } from './libpq-files.ts'

/** Where a server listens. */
export interface Host {
  /** A name, an address, or the folder of a socket. */
  readonly host: string
  readonly port: number
  /** Whether it may be shown: a `host` parameter, a strange place for a host, may hold anything. */
  readonly shown: boolean
}

/** Which of several servers is wanted. */
export type SessionAttributes = (typeof sessionAttributes)[number]

const sessionAttributes = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const

/** Variables that stand for parameters which the URL leaves out. */
const variables: readonly (readonly [variable: string, parameter: string])[] = [
  ['PGSSLMODE', 'sslmode'],
  ['PGSSLROOTCERT', 'sslrootcert'],
  ['PGSSLCERT', 'sslcert'],
  ['PGSSLKEY', 'sslkey'],
  ['PGSSLCERTMODE', 'sslcertmode'],
  ['PGSSLMINPROTOCOLVERSION', 'ssl_min_protocol_version'],
  ['PGSSLMAXPROTOCOLVERSION', 'ssl_max_protocol_version'],
  ['PGREQUIRESSL', 'requiressl'],
  ['PGSSLNEGOTIATION', 'sslnegotiation'],
  ['PGCHANNELBINDING', 'channel_binding'],
  ['PGGSSENCMODE', 'gssencmode'],
  ['PGREQUIREAUTH', 'require_auth'],
  ['PGREQUIREPEER', 'requirepeer'],
  ['PGSSLCRL', 'sslcrl'],
  ['PGSSLCRLDIR', 'sslcrldir'],
  ['PGHOSTADDR', 'hostaddr'],
  ['PGOPTIONS', 'options'],
]

/** What a PostgreSQL URL says, and the environment where the URL does not. */
export interface Target {
  readonly scheme: string
  readonly user: string
  /** Empty: that of the password file. */
  readonly password: string
  readonly passwordFile: PasswordFile
  /** In the order in which they are tried; at least one. */
  readonly hosts: readonly Host[]
  readonly database: string
  readonly schema: string
  /** Whether the URL says which schema. */
  readonly namesSchema: boolean
  readonly attributes: SessionAttributes
  /** The parameters that are left. */
  readonly parameters: URLSearchParams
}

const escapeHint = 'write %40, %23, %2F, %3F, %3A and %25 for @, #, /, ?, : and % in a password'

const defaultPort = '5432'

/**
 * Reads a URL as PostgreSQL's own programs do, and the parameters of Prisma and JDBC that name a schema.
 *
 * @param env the variables that stand for what the URL leaves out
 * @throws BAD_INPUT. No part of the URL is quoted: a password may be anywhere in it.
 */
export function parsePostgresqlUrl(text: string, env: Environment): Target {
  const parts = /^(postgres(?:ql)?):\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?(#.*)?$/i.exec(text.trim())
  if (!parts) throw unescaped()
  const [, scheme = '', login = '', authority = '', path = '', query = '', fragment] = parts
  const names = query.split('&').map((one) => one.split('=')[0] ?? '')
  // What an unescaped character in a password leads to; the rest of it would be taken for something to show.
  if (fragment !== undefined || /[@/]/.test(path) || names.some((name) => name.includes('@'))) throw unescaped()
  const parameters = new URLSearchParams(query)
  const service = parameters.get('service') || env.PGSERVICE
  const settings = service ? readService(service, env) : new Map<string, string>()
  // Each setting by itself: the parameter, the usual place in the URL, the service, the environment.
  const taken = new Set(['service'])
  const given = (name: string) => {
    taken.add(name)
    return parameters.get(name) || ''
  }
  const take = (name: string, own = '') => given(name) || own || settings.get(name) || ''
  const [user = '', ...password] = login.split(':')
  const database = take('dbname', decoded(path)) || env.PGDATABASE || ''
  if (database === '')
    throw badInput('the database URL names no database', 'end it with the name of the database, as in /app')
  const target = {
    scheme: scheme.toLowerCase(),
    // As the driver does.
    user: take('user', decoded(user)) || env.PGUSER || env.USER || '',
    password: take('password', decoded(password.join(':'))) || env.PGPASSWORD || '',
    passwordFile: passwordFile(take('passfile'), env),
    hosts: hostsOf(
      authority,
      { hosts: given('host'), ports: given('port') },
      { hosts: settings.get('host') ?? '', ports: settings.get('port') ?? '' },
      { hosts: env.PGHOST ?? '', ports: env.PGPORT ?? '' },
    ),
    database,
    attributes: attributesOf(take('target_session_attrs') || env.PGTARGETSESSIONATTRS || ''),
  }
  for (const [name, value] of settings) if (!parameters.has(name)) parameters.set(name, value)
  for (const [variable, name] of variables) {
    const value = env[variable]
    if (value && !parameters.has(name) && !(name === 'sslmode' && parameters.has('ssl'))) parameters.set(name, value)
  }
  for (const name of taken) parameters.delete(name)
  if (parameters.get('hostaddr'))
    throw badInput(
      'hostaddr= and PGHOSTADDR are not supported',
      'name the address as the host, and leave out hostaddr= and PGHOSTADDR',
    )
  const schema = takeSchema(parameters)
  return { ...target, schema: schema ?? 'public', namesSchema: schema !== undefined, parameters }
}

const unescaped = () =>
  badInput('the database URL has a character that must be escaped: @, /, # or ? in a password or a name', escapeHint)

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw badInput('the database URL has a "%" without two hexadecimal digits after it', escapeHint)
  }
}

/** What parameters, a service or the environment say of hosts, as lists with commas; each may be empty. */
interface HostLists {
  readonly hosts: string
  readonly ports: string
}

/** The hosts of the first that names any, and the ports of the first that gives any: parameters, authority, then the others. */
function hostsOf(authority: string, parameters: HostLists, ...others: readonly HostLists[]): Host[] {
  const own = authority.split(',').map((one) => {
    const [, address, name = '', port = ''] = /^(?:\[([^\]]*)\]|([^:@[\]]*))(?::(\d*))?$/.exec(one) ?? unreadable()
    return { host: address ?? decoded(name), port }
  })
  const first = (...lists: (readonly string[])[]) => lists.find((list) => list.some((one) => one !== '')) ?? ['']
  const hosts = first(
    parameters.hosts.split(','),
    own.map(({ host }) => host),
    ...others.map(({ hosts }) => hosts.split(',')),
  )
  const ports = first(
    parameters.ports.split(','),
    own.map(({ port }) => port),
    ...others.map(({ ports }) => ports.split(',')),
  )
  return hosts.map((named, place) => {
    const port = Number((ports.length === 1 ? ports[0] : ports[place]) || defaultPort)
    const host = named || localHost(port)
    if (!(port > 0 && port < 65_536) || !/^(\/.*|[\p{L}\p{N}_.:%-]+)$/su.test(host)) unreadable()
    return { host, port, shown: parameters.hosts === '' || host.startsWith('/') }
  })
}

function unreadable(): never {
  throw badInput(
    'the database URL has a host or a port that cannot be read',
    `write name:port or [IPv6 address]:port; ${escapeHint}`,
  )
}

const localHost = (port: number) =>
  socketFolders.find((folder) => existsSync(`${folder}/.s.PGSQL.${port}`)) ?? 'localhost'

function attributesOf(text: string): SessionAttributes {
  const found = sessionAttributes.find((one) => one === (text || 'any'))
  if (found) return found
  throw badInput('target_session_attrs has a value that is not known', `give one of ${sessionAttributes.join(', ')}`)
}

/** Takes what names a schema out of the parameters; the driver would silently ignore most of it. */
function takeSchema(parameters: URLSearchParams): string | undefined {
  const named = parameters.get('schema') ?? undefined
  // As the server reads them: the last counts.
  const option = /(?:^|\s)(?:-c\s*|--)search[_-]path=((?:\\.|[^\s\\])*)/gi
  const options = parameters.get('options') ?? ''
  const paths = [
    parameters.get('currentSchema'),
    parameters.get('search_path'),
    [...options.matchAll(option)].at(-1)?.[1],
  ]
  for (const name of ['schema', 'currentSchema', 'search_path', 'options']) parameters.delete(name)
  const others = options.replace(option, '').trim()
  if (others !== '') parameters.set('options', others)
  const schema = named ?? paths.flatMap((path) => path ?? [])[0]
  if (schema === '' || schema?.includes('\0'))
    throw badInput('the database URL names no schema', 'leave schema= out, or name one')
  if (named !== undefined || schema === undefined) return schema
  const [only = '', more] = schemasOf(schema.replace(/\\(.)/g, '$1'))
  if (more === undefined && only !== '' && only !== '$user') return only
  throw badInput(
    'the search path in the database URL has more than the name of a schema',
    'name the schema of these tables with schema=',
  )
}

/** The schemas of a search path, as PostgreSQL reads their names. */
export const schemasOf = (path: string): string[] =>
  // A name in quotes may have commas.
  path.split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/).map((name) => {
    const text = name.trim()
    return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase()
  })

/** The URL as it may be shown: host, port, database, user, schema and sslmode, as far as they look like ones. */
export function displayPostgresqlUrl({ scheme, user, hosts, database, schema, parameters }: Target): string {
  const name = (text: string) => (/^[\p{L}\p{N}_. $~+-]+$/u.test(text) ? encodeURIComponent(text) : '…')
  const sockets = hosts.filter(({ host }) => host.startsWith('/'))
  const where = hosts
    .filter(({ host }) => !host.startsWith('/'))
    .map(({ host, port, shown }) => {
      const address = host.includes(':') ? `[${host}]` : host
      return `${shown ? address : '…'}${String(port) === defaultPort ? '' : `:${port}`}`
    })
  const query = new URLSearchParams()
  for (const { host, port } of sockets) {
    query.append('host', host)
    if (String(port) !== defaultPort) query.append('port', String(port))
  }
  const mode = parameters.get('sslmode') ?? ''
  if (/^(disable|allow|prefer|require|verify-ca|verify-full|no-verify)$/.test(mode)) query.set('sslmode', mode)
  if (schema !== 'public') query.set('schema', name(schema))
  const shown = query.toString().replaceAll('%2F', '/')
  return `${scheme}://${user === '' ? '' : `${name(user)}@`}${where}/${name(database)}${shown === '' ? '' : `?${shown}`}`
}
