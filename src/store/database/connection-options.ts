import pg from 'pg'
import { badInput } from '../../errors.ts'

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
 * What the driver is given to connect.
 *
 * @throws BAD_INPUT when a file that the TLS parameters name cannot be read
 */
export function poolConfig({ url }: ConnectionOptions): pg.PoolConfig {
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
    keepAlive: true,
    application_name: 'integrations',
  }
}
