import pg from 'pg'
import { badInput } from '../../errors.ts'

/** A wait for a lock is given up and tried again, so that the deadline is ours and not the server's. */
const lockTimeoutMs = 2000

/** How long connecting may take at most. */
const maxConnectMs = 10_000

/** What to connect to. */
export interface ConnectionOptions {
  readonly url: URL
  readonly schema: string
  /** How long to go on when the database is busy. */
  readonly waitMs: number
  /** Have the server refuse every change. */
  readonly readOnly: boolean
}

/**
 * What the driver is given to connect, and what it says to a new connection.
 *
 * @throws BAD_INPUT when a file that the TLS parameters name cannot be read
 */
export function poolConfig({ url, schema, waitMs, readOnly }: ConnectionOptions): pg.PoolConfig {
  const target = new URL(url)
  // The driver takes these for verify-full already, and warns on stderr that it will not for ever.
  if (/^(prefer|require|verify-ca)$/.test(target.searchParams.get('sslmode') ?? ''))
    target.searchParams.set('sslmode', 'verify-full')
  try {
    // Connects to nothing: reads the certificates that the URL names.
    new pg.Client({ connectionString: target.href })
  } catch {
    throw badInput(
      'the database URL names a certificate file that cannot be read',
      'correct sslrootcert, sslcert or sslkey in DATABASE_URL',
    )
  }
  return {
    connectionString: target.href,
    connectionTimeoutMillis: Math.min(Math.max(waitMs, 1000), maxConnectMs),
    keepAlive: true,
    application_name: 'integrations',
    // As statements, not as start-up options, which connection poolers refuse.
    onConnect: async (client) => {
      await client.query(
        `SET TIME ZONE 'UTC'; SET lock_timeout = ${Math.min(Math.max(waitMs, 1), lockTimeoutMs)}; SET search_path TO ${pg.escapeIdentifier(schema)}${readOnly ? '; SET default_transaction_read_only = on' : ''}`,
      )
    },
  }
}
