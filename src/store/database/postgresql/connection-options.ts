import pg from 'pg'
import { badInput } from '../../../errors.ts'
import { clientOfHosts } from './hosts.ts'
import { passwordFrom } from './libpq-files.ts'
import { displayPostgresqlUrl, type Host, type Target } from './url.ts'

/** What to connect to. */
export interface ConnectionOptions extends Target {
  /** How long to go on when the database is busy. */
  readonly waitMs: number
  /** Have the server refuse every change. */
  readonly readOnly: boolean
}

/**
 * What the driver is given to connect.
 *
 * @throws BAD_INPUT when a file that the TLS parameters name cannot be read
 */
export function poolConfig(options: ConnectionOptions): pg.PoolConfig {
  const { database, user, hosts, parameters, attributes } = options
  const text = (name: string) => {
    const value = parameters.get(name)
    return value === null ? {} : { [name]: value }
  }
  const ssl = tls(parameters)
  // As for PostgreSQL's own programs, TLS is for networks: no server speaks it on a socket.
  const logins = hosts.map((host) => ({ ...loginAt(options, host), ssl: host.host.startsWith('/') ? false : ssl }))
  return {
    ...logins[0],
    database,
    ...(user === '' ? {} : { user }),
    keepAlive: true,
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

/** The TLS settings of a URL, with the files that it names. */
function tls(parameters: URLSearchParams): pg.ClientConfig['ssl'] {
  const own = new URLSearchParams([...parameters].filter(([name]) => /^(ssl|uselibpqcompat$)/.test(name)))
  // The driver takes these for verify-full already, and warns on stderr that it will not for ever.
  if (/^(allow|prefer|require|verify-ca)$/.test(own.get('sslmode') ?? '') && own.get('uselibpqcompat') !== 'true')
    own.set('sslmode', 'verify-full')
  try {
    // Connects to nothing: reads the certificates.
    return new pg.Client({ connectionString: `postgresql://host/database?${own}` }).ssl
  } catch {
    throw badInput(
      'the database URL names a certificate file that cannot be read',
      'correct sslrootcert, sslcert or sslkey in DATABASE_URL',
    )
  }
}
