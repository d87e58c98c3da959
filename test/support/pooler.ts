import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import { freePort } from './postgresql.ts'
import { freshFolder } from './program.ts'

const program = '/usr/sbin/pgbouncer'

/** Whether tests with PgBouncer cannot run here; in CI they have to. */
export const withoutPooler = !existsSync(program) && !process.env.CI

/** A PgBouncer before a server. */
export interface Pooler {
  /** The URL of a database, through it. */
  through(url: string): string
  /** Runs a command of its console, as in `PAUSE`. */
  console(command: string): Promise<void>
}

/** Starts PgBouncer before the server of a URL, until the test ends. */
export async function startPooler(
  url: string,
  { mode, size }: { mode: 'transaction' | 'statement'; size: number },
): Promise<Pooler> {
  const { hostname, port, username, password } = new URL(url)
  const folder = freshFolder()
  chmodSync(folder, 0o755)
  const own = await freePort()
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    `[databases]
* = host=${hostname} port=${port || 5432} user=${username} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${size}
admin_users = admin
`,
  )
  // PgBouncer refuses to run as root, as PostgreSQL does, whose user the tests have by now.
  const id = (flag: string) => Number(spawnSync('id', [flag, 'postgres']).stdout)
  const user = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {}
  const child = spawn(program, ['-q', join(folder, 'pgbouncer.ini')], { stdio: 'ignore', ...user })
  const ended = new Promise<void>((done) => child.on('error', () => done()).on('exit', () => done()))
  onTestFinished(async () => {
    child.kill('SIGQUIT')
    await ended
  })
  const command = async (text: string) => {
    const client = new pg.Client({ host: '127.0.0.1', port: own, user: 'admin', database: 'pgbouncer' })
    client.on('error', () => {})
    await client.connect()
    await client.query(text)
    await client.end()
  }
  const isUp = () =>
    command('SHOW VERSION').then(
      () => true,
      () => false,
    )
  while (!(await isUp())) {
    if (child.exitCode !== null) throw new Error('PgBouncer did not start')
    await sleep(50)
  }
  return {
    through: (one) => Object.assign(new URL(one), { hostname: '127.0.0.1', port: String(own) }).href,
    console: command,
  }
}
