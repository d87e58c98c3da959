import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createReceiver } from '../../../src/receiver/receiver.ts'
import {
  begin,
  contents,
  dropOwnTables,
  emptyPostgresql,
  freshDatabase,
  type TestDatabase,
} from '../../support/database.ts'
import { type Fault, startFaultProxy } from '../../support/fault-proxy.ts'
import { runInProcess } from '../../support/in-process.ts'
import { runProgram } from '../../support/program.ts'
import { signingSecret } from '../../support/samples.ts'
import { addSlack } from '../../support/slack-integration.ts'
import { fromSlack } from '../../support/webhooks.ts'

const head = 'UPDATE integration_settings SET updated_at'

/** The error of a run, of which nothing but that may be said. */
async function errorOf(args: readonly string[], url: string) {
  const { code, stdout, stderr } = await runProgram([...args, '-o', 'json'], { env: { DATABASE_URL: url } })
  return { code, stdout, error: JSON.parse(stderr).error }
}

const refusal = (error: object) => ({ code: 6, stdout: '', error: expect.objectContaining({ exit: 6, ...error }) })

const silent = refusal({
  code: 'DATABASE_UNREACHABLE',
  message: expect.stringMatching(/ did not answer in time$/),
  retryable: true,
  committed: false,
})

const unknown = refusal({ code: 'COMMIT_UNKNOWN', retryable: false, committed: null })

const names = (db: TestDatabase) => db.query('SELECT name FROM workspaces')
const events = (db: TestDatabase) => db.query(`SELECT action FROM integration_events WHERE action <> 'keys.init'`)

const tables = async (db: TestDatabase) => Object.keys(await contents(db))

/** A database with the application's tables alone, after this program or before it. */
async function applicationAlone(history: boolean): Promise<TestDatabase> {
  const db = await freshDatabase('postgresql')
  await dropOwnTables(db)
  await db.query(
    history
      ? `DELETE FROM _prisma_migrations WHERE migration_name <> (SELECT min(migration_name) FROM _prisma_migrations)`
      : 'DROP TABLE _prisma_migrations',
  )
  return db
}

/** What changes the tables of a database, and a database for it. */
const migrating: readonly (readonly [args: string, make: () => Promise<TestDatabase>])[] = [
  ['init', () => emptyPostgresql()],
  ['db migrate', () => applicationAlone(true)],
  ['db adopt', () => applicationAlone(false)],
]

const engineLock = 'pg_advisory_xact_lock(72707369)'

/** Statements of the schema engine. */
const atTheEngine = ['pg_namespace', engineLock, 'INTO "_prisma_migrations"', 'CREATE TABLE "integration_']

/** The process of the server that has a command wait for a lock. */
async function waiting(db: TestDatabase): Promise<number> {
  for (;;) {
    const [row] = await db.query(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'integrations' AND wait_event_type = 'Lock'`,
    )
    if (row) return Number(row.pid)
    await sleep(20)
  }
}

/** Runs of a network that fails, each in a test that others do not wait for. */
describe.concurrent('on a network that fails', () => {
  test.for(['silent', 'deaf server', 'deaf client'] as const)(
    'with a server that is %s before a connection, a command ends when its time is up',
    async (fault, context) => {
      const db = await freshDatabase('postgresql')
      const proxy = await startFaultProxy(db.url, context)
      proxy.failAt('', fault)
      for (const args of [['list'], ['workspaces', 'add', 'Acme'], ['db', 'migrate']])
        expect(await errorOf([...args, '--wait', '1s'], proxy.url)).toEqual(silent)
      expect(await names(db)).toEqual([])
    },
  )

  test.for(['deaf server', 'deaf client'] as const)(
    'with a network that is %s from the first statement of a change on, nothing is changed, and others can soon',
    async (fault, context) => {
      const db = await freshDatabase('postgresql')
      const proxy = await startFaultProxy(db.url, context)
      proxy.failAt(head, fault)
      expect(await errorOf(['workspaces', 'add', 'Acme', '--wait', '8s'], proxy.url)).toEqual(silent)
      expect([await names(db), await events(db), proxy.seen()]).toEqual([[], [], 1])
      // The server was not told that the client has gone.
      const env = { DATABASE_URL: db.url }
      expect(await runInProcess(['workspaces', 'add', 'Beta', '--wait', '1m'], { env })).toMatchObject({ code: 0 })
      expect(await names(db)).toEqual([{ name: 'Beta' }])
    },
  )

  test.for([
    ['deaf server', []],
    ['deaf client', [{ name: 'Acme' }]],
  ] as [Fault, object[]][])(
    'with a network that is %s at COMMIT, it is left open whether a change was made',
    async ([fault, made], context) => {
      const db = await freshDatabase('postgresql')
      const proxy = await startFaultProxy(db.url, context)
      proxy.failAt('COMMIT', fault)
      expect(await errorOf(['workspaces', 'add', 'Acme', '--wait', '8s'], proxy.url)).toEqual(unknown)
      expect([await names(db), proxy.seen()]).toEqual([made, 1])
    },
  )

  test.for(['_prisma_migrations', head, 'INTO integration_events', 'ROLLBACK', 'COMMIT'])(
    'with a server that is silent from %s on, a command ends when its time is up',
    async (text, context) => {
      const db = await freshDatabase('postgresql')
      const proxy = await startFaultProxy(db.url, context)
      proxy.failAt(text, 'silent')
      const dryRun = text === 'ROLLBACK' ? ['--dry-run'] : []
      const args = ['workspaces', 'add', 'Acme', '--wait', '6s', ...dryRun]
      const change = runProgram(args, { env: { DATABASE_URL: proxy.url } })
      await expect.poll(() => proxy.seen(), { timeout: 60_000 }).toBe(1)
      const since = performance.now()
      const { code } = await change
      expect(performance.now() - since).toBeLessThan(11_000)
      expect([code, await names(db), proxy.seen()]).toEqual([text === 'ROLLBACK' ? 0 : 6, [], 1])
    },
  )

  test.for(migrating)(
    'that is cut in the middle of %s, nothing is done, and the command says why',
    async ([args, make], context) => {
      const db = await make()
      const proxy = await startFaultProxy(db.url, context)
      const before = await tables(db)
      const env = { DATABASE_URL: proxy.url }
      for (const text of atTheEngine) {
        proxy.failAt(text, 'cut')
        expect([text, await runInProcess(args.split(' '), { env })]).toEqual([
          text,
          {
            code: 6,
            stdout: '',
            // After what adopting would change.
            stderr: expect.stringMatching(/(?:^|\n)error: postgresql:[^ ]+ cannot be reached\nhint: .*\n$/),
          },
        ])
      }
      expect([proxy.seen(), await tables(db)]).toEqual([atTheEngine.length, before])
    },
  )

  test('with a server that is silent in the middle of init, nothing is done', async (context) => {
    const db = await emptyPostgresql()
    const proxy = await startFaultProxy(db.url, context)
    proxy.failAt(engineLock, 'silent')
    expect(await errorOf(['init', '--wait', '6s'], proxy.url)).toEqual(silent)
    expect([proxy.seen(), await tables(db)]).toEqual([1, []])
  })

  test('a transaction that the server has ended before COMMIT was not committed', async (context) => {
    const db = await freshDatabase('postgresql')
    const proxy = await startFaultProxy(db.url, context)
    proxy.failAt('COMMIT', 'deaf server')
    const started = errorOf(['workspaces', 'add', 'Acme', '--wait', '2m'], proxy.url)
    expect(await started).toEqual(
      refusal({
        code: 'DATABASE_UNREACHABLE',
        message: expect.stringMatching(/ ended the connection, which was idle for too long; nothing was changed$/),
        retryable: true,
        committed: false,
      }),
    )
    expect([await names(db), await events(db)]).toEqual([[], []])
  })

  test('a server process that stands still keeps a command no longer than its time', async (context) => {
    const db = await freshDatabase('postgresql')
    const proxy = await startFaultProxy(db.url, context)
    const env = { DATABASE_URL: proxy.url }
    const release = await begin(db, `UPDATE integration_settings SET seq = seq WHERE key = 'head'`)
    const change = errorOf(['workspaces', 'add', 'Acme', '--wait', '15s'], proxy.url)
    const pid = await waiting(db)
    process.kill(pid, 'SIGSTOP')
    try {
      expect(await change).toEqual(silent)
    } finally {
      process.kill(pid, 'SIGCONT')
      await release()
    }
    expect(await names(db)).toEqual([])
    expect(await runInProcess(['workspaces', 'add', 'Beta'], { env })).toMatchObject({ code: 0 })
  })

  test('a receiver that gets no answer says 503, closes, and is well when the network is', async (context) => {
    const db = await freshDatabase('postgresql')
    await addSlack({ DATABASE_URL: db.url }, 'support', '--slack-team-id', 'T012AB3CD')
    const proxy = await startFaultProxy(db.url, context)
    const receiver = await createReceiver({
      database: proxy.url,
      keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' },
      remember: 0,
      staleSeconds: 0,
      onError: () => {},
    })
    expect(await receiver.slack(fromSlack(signingSecret(1)))).toMatchObject({ kind: 'event' })
    proxy.failAt('SELECT', 'silent')
    expect(await receiver.slack(fromSlack(signingSecret(1)))).toMatchObject({ status: 503 })
    proxy.pass()
    expect(await receiver.slack(fromSlack(signingSecret(1)))).toMatchObject({ kind: 'event' })
    proxy.failAt('SELECT', 'silent')
    await receiver.close()
  })
})
