import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createReceiver } from '../../src/receiver/receiver.ts'
import { emptyPostgresql, freshDatabase, postgresqlDatabase, type TestDatabase } from '../support/database.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { runInProcess } from '../support/in-process.ts'
import { type Pooler, startPooler, withoutPooler } from '../support/pooler.ts'
import { runProgram } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'
import { fromSlack } from '../support/webhooks.ts'

const schemas = ['tenant_a', 'tenant_b'] as const

/** A database with two schemas of ours, whose sessions have other settings than ours. */
async function twoSchemas(): Promise<TestDatabase> {
  const db = await emptyPostgresql()
  const name = new URL(db.url).pathname.slice(1)
  for (const set of [`DateStyle = 'German'`, `TimeZone = 'Asia/Kathmandu'`, `IntervalStyle = 'sql_standard'`])
    await db.query(`ALTER DATABASE ${name} SET ${set}`)
  for (const schema of schemas) await db.query(`CREATE SCHEMA ${schema}`)
  return postgresqlDatabase(db.url)
}

const names = [
  'search_path',
  'lock_timeout',
  'statement_timeout',
  'idle_in_transaction_session_timeout',
  'default_transaction_read_only',
  'TimeZone',
  'DateStyle',
  'IntervalStyle',
]

/** What the application finds on every connection that the pooler has to the server. */
async function settings(url: string, size: number): Promise<Set<string>> {
  const clients = Array.from({ length: size }, () => new pg.Client({ connectionString: url }))
  await Promise.all(clients.map((client) => client.connect()))
  // A transaction each keeps the pooler from lending one connection to several.
  for (const client of clients) await client.query('BEGIN')
  const text = `SELECT ${names.map((name) => `current_setting('${name}') AS "${name}"`).join(', ')}`
  const answers = await Promise.all(clients.map((client) => client.query(text)))
  for (const client of clients) {
    await client.query('ROLLBACK')
    await client.end()
  }
  return new Set(answers.map(({ rows }) => JSON.stringify(rows)))
}

const inSchema = (url: string, schema: string) => `${url}?schema=${schema}`

describe.skipIf(withoutPooler)('through a pooler', () => {
  test.each([1, 4])(
    'in transaction mode with a pool of %i, no command changes a session, and all is in its own schema',
    async (size) => {
      const db = await twoSchemas()
      const pooler = await startPooler(db.url, { mode: 'transaction', size })
      const url = pooler.through(db.url)
      const before = await settings(url, size)
      expect(before.size).toBe(1)

      const add = ['add', '--platform', 'slack', '--new-workspace', 'Acme', '--webhook-secret-env', 'SECRET']
      const commands = (schema: string): [number, ...string[]][] => [
        [0, 'init'],
        [0, ...add, '--name', schema, '--slack-team-id', 'T012AB3CD'],
        [0, 'list', '--read-only'],
        [4, 'workspaces', 'add', 'Nothing', '--read-only'],
        [0, 'db', 'status'],
        [0, 'db', 'migrate'],
        [0, 'toggle', schema],
        [0, 'toggle', schema, '--reason', schema],
        [0, 'rotate', schema, '--webhook-secret-env', 'NEXT', '--grace', '1h'],
        [5, 'rotate', schema, '--webhook-secret-env', 'LAST', '--grace', '1h'],
        [0, 'secrets', 'revert', schema, 'webhook-secret'],
        [0, 'audit', 'verify'],
      ]
      const answers = await Promise.all(
        schemas.map(async (schema) => {
          const env = { DATABASE_URL: inSchema(url, schema), SECRET: signingSecret(1), NEXT: signingSecret(2) }
          const all = []
          for (const [code, ...args] of commands(schema)) {
            const outcome = await runInProcess(args, { env: { ...env, LAST: signingSecret(3) } })
            all.push({ args, code, ...(outcome.code === code ? {} : { outcome }) })
          }
          return all
        }),
      )
      expect(answers).toEqual(schemas.map((schema) => commands(schema).map(([code, ...args]) => ({ args, code }))))
      expect(await settings(url, size)).toEqual(before)

      for (const schema of schemas) {
        expect(await db.query(`SELECT name FROM ${schema}.integrations`)).toEqual([{ name: schema }])
        expect(await db.query(`SELECT action, target_name FROM ${schema}.integration_events ORDER BY seq`)).toEqual(
          [
            'keys.init',
            'workspace.add',
            'integration.add',
            'integration.disable',
            'integration.enable',
            'secret.rotate',
            'secret.revert',
          ].map((action) => expect.objectContaining({ action })),
        )
      }
      expect(await db.query(`SELECT 1 FROM pg_tables WHERE schemaname = 'public'`)).toEqual([])

      const errors: unknown[] = []
      const receiver = await createReceiver({
        database: inSchema(url, 'tenant_a'),
        keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' },
        onError: (error) => errors.push(error),
      })
      expect(await receiver.slack(fromSlack(signingSecret(1)))).toMatchObject({ kind: 'event', status: 200 })
      expect(await receiver.slack(fromSlack(signingSecret(3)))).toMatchObject({ kind: 'rejected', status: 401 })
      await receiver.close()
      expect(errors).toEqual([])
      expect(await db.query('SELECT last_used_at IS NULL AS never FROM tenant_a.integrations')).toEqual([
        { never: false },
      ])
      expect(await db.query('SELECT last_used_at IS NULL AS never FROM tenant_b.integrations')).toEqual([
        { never: true },
      ])
      expect(await settings(url, size)).toEqual(before)
    },
  )

  test('in statement mode, reading works, and a change says why it cannot', async () => {
    const db = await freshDatabase('postgresql')
    expect(await runInProcess(['workspaces', 'add', 'Acme'], { env: { DATABASE_URL: db.url } })).toMatchObject({
      code: 0,
    })
    const { through } = await startPooler(db.url, { mode: 'statement', size: 1 })
    const env = { DATABASE_URL: through(db.url) }
    expect(await runProgram(['workspaces', 'list', '--fields', 'name'], { env })).toEqual({
      code: 0,
      stdout: 'Acme\n',
      stderr: '',
    })
    for (const args of [['audit', 'list'], ['audit', 'verify'], ['list'], ['db', 'status'], ['keys', 'list']])
      expect(await runInProcess(args, { env })).toMatchObject({ code: 0 })
    const { host, pathname } = new URL(env.DATABASE_URL)
    const refused = {
      code: 4,
      stdout: '',
      stderr: `error: postgresql://postgres@${host}${pathname} is a connection pooler in statement mode, which allows no transaction
hint: connect to the server itself, or to a pooler in transaction or session mode
`,
    }
    for (const args of [
      ['workspaces', 'add', 'Beta'],
      ['db', 'migrate'],
    ])
      expect(await runProgram(args, { env })).toEqual(refused)
    expect(await db.query('SELECT name FROM workspaces')).toEqual([{ name: 'Acme' }])
  })

  test('in statement mode, a long list is read in parts, in order, and takes bounded memory', async () => {
    const db = await freshDatabase('postgresql')
    await db.query(`INSERT INTO workspaces (id, name, created_at, updated_at)
      SELECT 'w' || lpad(n::text, 3, '0'), 'Acme ' || n % 7, now(), now() FROM generate_series(1, 600) n`)
    const { through } = await startPooler(db.url, { mode: 'statement', size: 1 })
    const list = (url: string, ...args: string[]) =>
      runInProcess(['workspaces', 'list', '--all', '--fields', 'id', ...args], { env: { DATABASE_URL: url } })
    const compare = async (...args: string[]) => {
      const direct = await list(db.url, ...args)
      expect(direct).toMatchObject({ code: 0, stderr: '' })
      expect([args, await list(through(db.url), ...args)]).toEqual([args, direct])
    }
    for (const args of [[], ['--sort', '-name'], ['--sort', 'createdAt'], ['--cursor', 'w050']]) await compare(...args)
    // More than an answer may have, and than an index takes.
    await db.query('DROP INDEX integration_workspace_name_idx')
    await db.query(`UPDATE workspaces SET name = repeat('x', 600000) WHERE id <= 'w100'`)
    await compare('--sort', '-id')
  })

  test('in statement mode, the row that a list has come to may go away', async (context) => {
    const db = await freshDatabase('postgresql')
    await db.query(`INSERT INTO workspaces (id, name, created_at, updated_at)
      SELECT 'w' || lpad(n::text, 3, '0'), 'Acme ' || lpad(n::text, 3, '0'), now(), now() FROM generate_series(1, 600) n`)
    const { through } = await startPooler(db.url, { mode: 'statement', size: 1 })
    const proxy = await startFaultProxy(through(db.url), context)
    proxy.doAt('IS NULL AND (SELECT', () => db.query(`DELETE FROM workspaces WHERE id = 'w500'`).then(() => {}))
    const { code, stderr } = await runInProcess(['workspaces', 'list', '--all', '-o', 'jsonl'], {
      env: { DATABASE_URL: proxy.url },
    })
    expect({ code, stderr, seen: proxy.seen() }).toEqual({
      code: 5,
      stderr: expect.stringMatching(/a row that the list had come to was removed or changed meanwhile/),
      seen: 1,
    })
  })

  test('that is paused, a command ends when its time is up', async () => {
    const db = await freshDatabase('postgresql')
    const pooler: Pooler = await startPooler(db.url, { mode: 'transaction', size: 1 })
    const env = { DATABASE_URL: pooler.through(db.url) }
    await runInProcess(['list'], { env })
    await pooler.console('PAUSE')
    onTestFinished(() => pooler.console('RESUME').catch(() => {}))
    const { host, pathname } = new URL(env.DATABASE_URL)
    expect(await runProgram(['list', '--wait', '1s'], { env })).toEqual({
      code: 6,
      stdout: '',
      stderr: `error: postgresql://postgres@${host}${pathname} did not answer in time
hint: check the server and the network, or wait longer with --wait 2m
`,
    })
  })
})
