import { execFileSync, spawn } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createReceiver } from '../../src/receiver/receiver.ts'
import { amount } from '../support/crash-amounts.ts'
import { postgresqlDatabase, type TestDatabase } from '../support/database.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { expectInvariants } from '../support/invariants.ts'
import { freePort, startPostgresql } from '../support/postgresql.ts'
import { runProgram } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'
import { addSlack } from '../support/slack-integration.ts'
import { fromSlack, message, slackEvent } from '../support/webhooks.ts'

/** How long the server stands still, longer than a command waits. */
const stoppedMs = amount(10_000, 60_000)

const webhooksPerSecond = amount(50, 200)

const waitMs = 4000

/** A command starts and ends in this time on a busy machine. */
const aroundMs = 4000

const ownServer = async () => {
  const server = await startPostgresql()
  onTestFinished(() => server.stop())
  const env = { DATABASE_URL: server.url }
  expect(await runProgram(['init'], { env })).toMatchObject({ code: 0 })
  await addSlack(env, 'support', '--slack-team-id', 'T012AB3CD')
  return postgresqlDatabase(server.url)
}

/** Where the files of a server are, and its first process. */
async function serverOf(db: TestDatabase) {
  const [row] = await db.query('SHOW data_directory')
  const folder = String(row?.data_directory)
  return { folder, pid: Number(readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')[0]) }
}

/** A process and what it has begun. */
const family = (pid: number): number[] => [
  pid,
  ...readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]) === pid
      } catch {
        return false
      }
    })
    .map(Number),
]

const signal = (pids: readonly number[], name: NodeJS.Signals) => {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {}
  }
}

/** Webhooks at a steady rate, and one rotation after the other, of the integration "support". */
async function startWork(url: string) {
  const receiver = await createReceiver({
    database: url,
    keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' },
    onError: () => {},
  })
  const env = { DATABASE_URL: url }
  const acknowledged = [1]
  let valid = 1
  const statuses: number[] = []
  const requests: Promise<void>[] = []
  const codes: string[] = []
  const lateMs: number[] = []
  let over = false
  async function send(): Promise<void> {
    const before = acknowledged.length
    const outcome = await receiver.slack(
      fromSlack(signingSecret(valid), slackEvent(message, { event_id: `Ev${requests.length}` })),
    )
    // Two rotations later, a secret is not valid any more.
    if (acknowledged.length - before < 2) statuses.push(outcome.status)
  }
  const begun = performance.now()
  const timer = setInterval(() => {
    while (requests.length < ((performance.now() - begun) * webhooksPerSecond) / 1000) requests.push(send())
  }, 5)
  const rotations = (async () => {
    for (let n = 2; n < 256 && !over; n++) {
      const since = performance.now()
      const { code, stderr } = await runProgram(
        [
          'rotate',
          'support',
          '--webhook-secret-stdin',
          '--grace',
          '1h',
          '--end-previous',
          '--wait',
          '4s',
          '-o',
          'json',
        ],
        { env, input: signingSecret(n) },
      )
      lateMs.push(performance.now() - since)
      if (code === 0) acknowledged.push(n)
      // The next would end the secret before the last that is known to be in the database.
      const unknown = code !== 0 && JSON.parse(stderr).error.code === 'COMMIT_UNKNOWN'
      codes.push(code === 0 ? 'done' : JSON.parse(stderr).error.code)
      if (code === 0) valid = n
      if (unknown) await expect.poll(() => resolved(n), { timeout: 120_000, interval: 500 }).toBeTypeOf('boolean')
      await sleep(300)
    }
  })()
  /** Whether an outcome that was unknown was a success; undefined while the database is away. */
  async function resolved(n: number): Promise<boolean | undefined> {
    const { code, stdout } = await runProgram(['secrets', 'reveal', 'support', 'webhook-secret'], { env })
    if (code !== 0) return undefined
    const made = stdout.trim() === signingSecret(n)
    if (made) {
      acknowledged.push(n)
      valid = n
    }
    return made
  }
  return {
    acknowledged,
    codes,
    async stop() {
      over = true
      await rotations
      clearInterval(timer)
      await Promise.all(requests)
      await receiver.close()
      return { statuses: [...new Set(statuses)].sort(), longestMs: Math.max(...lateMs) }
    },
  }
}

const expectWhole = async (db: TestDatabase, { acknowledged, codes, stop }: Awaited<ReturnType<typeof startWork>>) => {
  const { statuses, longestMs } = await stop()
  expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([])
  expect(statuses).toContain(200)
  expect(codes.filter((code) => !/^(done|DATABASE_UNREACHABLE|DATABASE_BUSY|COMMIT_UNKNOWN)$/.test(code))).toEqual([])
  expect(longestMs).toBeLessThan(waitMs + 1000 + aroundMs)
  // The first was an addition.
  expect(await expectInvariants(db)).toBe(acknowledged.length - 1)
}

test('a server that stands still has no webhook refused and no rotation lost, and no command waits longer than told', async () => {
  const db = await ownServer()
  const { pid } = await serverOf(db)
  const work = await startWork(db.url)
  await expect.poll(() => work.acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(2)
  // No process is begun from here on.
  signal([pid], 'SIGSTOP')
  const stopped = family(pid)
  signal(stopped, 'SIGSTOP')
  try {
    await sleep(stoppedMs)
  } finally {
    signal(stopped, 'SIGCONT')
  }
  expect(work.codes.filter((code) => code !== 'done')).not.toEqual([])
  const before = work.acknowledged.length
  await expect.poll(() => work.acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(before + 1)
  await expectWhole(db, work)
})

test('a server that crashes at any statement of a change leaves the change whole or undone, and the answer says which', async (context) => {
  const db = await ownServer()
  const proxy = await startFaultProxy(db.url, context)
  const rotate = async (url: string, n: number) => {
    const flags = ['--webhook-secret-stdin', '--grace', '1h', '--end-previous', '--wait', '10s', '-o', 'json']
    const { code, stderr } = await runProgram(['rotate', 'support', ...flags], {
      env: { DATABASE_URL: url },
      input: signingSecret(n),
    })
    return code === 0 ? 'done' : [code, JSON.parse(stderr).error.code, JSON.parse(stderr).error.committed]
  }
  const up = () =>
    db.query('SELECT pg_is_in_recovery() AS standby').then(
      ([row]) => row?.standby === false,
      () => false,
    )
  const statements = [
    'SET LOCAL transaction_isolation',
    'UPDATE integration_settings SET updated_at',
    'integration_versions',
    'INTO integration_events',
    'COMMIT',
  ]
  for (const [i, text] of statements.entries()) {
    const crashed = i + 1
    proxy.doAt(text, async () => {
      const own = `SELECT pid FROM pg_stat_activity WHERE application_name = 'integrations'`
      signal(
        (await db.query(own)).map(({ pid }) => Number(pid)),
        'SIGKILL',
      )
    })
    const expected = text === 'COMMIT' ? [6, 'COMMIT_UNKNOWN', null] : [6, 'DATABASE_UNREACHABLE', false]
    expect([text, await rotate(proxy.url, crashed + 1), proxy.seen()]).toEqual([text, expected, crashed])
    await expect.poll(up, { timeout: 60_000 }).toBe(true)
    expect(await expectInvariants(db)).toBe(0)
  }
  expect(await rotate(db.url, 10)).toBe('done')
  expect(await expectInvariants(db)).toBe(1)
})

test('a synchronous standby takes over from a server that was killed, and no webhook is refused and no rotation lost', async () => {
  const primary = await ownServer()
  const standby = await startStandby(primary)
  await primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
  await primary.query('SELECT pg_reload_conf()')
  const sync = async () => (await primary.query('SELECT sync_state FROM pg_stat_replication'))[0]?.sync_state
  await expect.poll(sync, { timeout: 60_000 }).toBe('sync')
  const hosts = [primary, standby].map(({ url }) => new URL(url).host)
  const work = await startWork(
    `postgresql://postgres:postgres@${hosts.join()}/postgres?target_session_attrs=read-write`,
  )
  await expect.poll(() => work.acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(2)
  const { pid } = await serverOf(primary)
  signal(family(pid), 'SIGKILL')
  await sleep(2000)
  await standby.query('SELECT pg_promote()')
  const before = work.acknowledged.length
  await expect.poll(() => work.acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(before + 1)
  await expectWhole(standby, work)
})

/** Starts a server that follows another, from a copy of its files. */
async function startStandby(primary: TestDatabase): Promise<TestDatabase> {
  const { folder, pid } = await serverOf(primary)
  const { uid, gid } = statSync(folder)
  const copy = `${folder}-standby`
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }))
  const program = readlinkSync(`/proc/${pid}/exe`)
  await primary.query('CHECKPOINT')
  signal(family(pid), 'SIGSTOP')
  try {
    // As after a crash of the machine: the copy is of one moment.
    cpSync(folder, copy, { recursive: true, preserveTimestamps: true })
  } finally {
    signal(family(pid), 'SIGCONT')
  }
  const { hostname, port: from } = new URL(primary.url)
  rmSync(join(copy, 'postmaster.pid'))
  writeFileSync(join(copy, 'standby.signal'), '')
  writeFileSync(
    join(copy, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=${hostname} port=${from} user=postgres password=postgres'\n`,
  )
  const port = await freePort()
  const owner = process.getuid?.() === 0 ? { uid, gid } : {}
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${uid}:${gid}`, copy])
  const server = spawn(
    program,
    ['-D', copy, '-p', String(port), '-c', 'fsync=off', '-c', 'max_connections=400', '-c', 'unix_socket_directories='],
    {
      stdio: 'ignore',
      cwd: copy,
      ...owner,
    },
  )
  onTestFinished(async () => {
    const ended = new Promise((done) => server.on('exit', done))
    if (server.kill('SIGQUIT')) await ended
  })
  const db = postgresqlDatabase(Object.assign(new URL(primary.url), { port: String(port) }).href)
  const up = () =>
    db.query('SELECT 1').then(
      () => true,
      () => false,
    )
  await expect.poll(up, { timeout: 60_000 }).toBe(true)
  return db
}
