import { type LookupFunction, Socket } from 'node:net'
import type pg from 'pg'
import { type LookUp, lookUpApart, lookUpShared } from '../../../lookup.ts'
import { clientOfHosts } from './hosts.ts'
import { passwordFrom } from './libpq-files.ts'
import { tlsOf } from './tls.ts'
import { displayPostgresqlUrl, type Host, type Target } from './url.ts'

/** What to connect to. */
export interface ConnectionOptions extends Target {
  /** How long to go on when the database is busy. */
  readonly waitMs: number
  /** Have the server refuse every change. */
  readonly readOnly: boolean
  /** Begin no process, which would stop the event loop. */
  readonly neverBlock?: boolean | undefined
}

/**
 * What the driver is given to connect.
 *
 * @throws BAD_INPUT for TLS parameters that cannot be used
 */
export function poolConfig(options: ConnectionOptions): pg.PoolConfig {
  const { database, user, hosts, parameters, attributes, neverBlock } = options
  const text = (name: string) => {
    const value = parameters.get(name)
    return value === null ? {} : { [name]: value }
  }
  const { ssl, ...negotiation } = tlsOf(parameters)
  // As for PostgreSQL's own programs, TLS is for networks: no server speaks it on a socket.
  const logins = hosts.map((host) => ({ ...loginAt(options, host), ssl: host.host.startsWith('/') ? false : ssl }))
  return {
    ...logins[0],
    database,
    ...(user === '' ? {} : { user }),
    ...(logins[0]?.ssl ? negotiation : {}),
    keepAlive: true,
    stream: () => socketWith(neverBlock ? lookUpShared : lookUpApart),
    application_name: 'integrations',
    ...text('application_name'),
    ...text('options'),
    Client: clientOfHosts(logins, attributes),
  }
}

/** Where a server is, and the password there. */
function loginAt(target: Target, { host, port }: Host): Pick<pg.ClientConfig, 'host' | 'port' | 'password'> {
  const { database, user, password, passwordFile } = target
  if (password !== '') return { host, port, password }
  const login = { host, port, database, user }
  // Asked for by the driver when the server wants one.
  return { host, port, password: () => passwordFrom(passwordFile, login, displayPostgresqlUrl(target)) }
}

/** A socket as the driver makes it, which finds the addresses of a host in a way of ours. */
function socketWith(lookUp: LookUp): Socket {
  const socket = new Socket()
  const closed = new AbortController()
  socket.on('close', () => closed.abort())
  const lookup: LookupFunction = (host, { all }, found) => {
    lookUp(host, closed.signal).then(
      (addresses) => (all ? found(null, addresses) : found(null, addresses[0]?.address ?? '', addresses[0]?.family)),
      (error: NodeJS.ErrnoException) => found(error, ''),
    )
  }
  const connect = socket.connect.bind(socket)
  return Object.assign(socket, {
    // The folder of a socket comes in place of a port, without a host.
    connect: (port: number | string, host?: string) =>
      typeof port === 'string' ? connect(port) : connect({ port, host, lookup }),
  })
}
