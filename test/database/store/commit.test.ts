import { connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { dropOwnTables, freshDatabase, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { freshFolder, runProgram } from '../../support/program.ts'
import { addSlack } from '../../support/slack-integration.ts'
import { accessToken, app, refreshToken, slackOAuth } from '../../support/slack-oauth.ts'

/** Where the connection is cut: before the server sees COMMIT, or after it has answered, before the client sees that. */
const cuts = ['before', 'after'] as const

/** A server between the program and PostgreSQL that cuts every connection at its COMMIT. */
async function cutting(db: TestDatabase, cut: (typeof cuts)[number]) {
  const target = new URL(db.url)
  let commits = 0
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname)
    let committing = false
    const close = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream] satisfies Socket[]) socket.on('error', close).on('close', close)
    client.on('data', (data) => {
      if (data.includes('COMMIT')) {
        commits++
        committing = true
        if (cut === 'before') return close()
      }
      upstream.write(data)
    })
    upstream.on('data', (data) => (committing ? close() : client.write(data)))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onTestFinished(() => void server.close())
  const url = new URL(db.url)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as { port: number }).port)
  return { url: url.href, commits: () => commits }
}

const unknown = { code: 'COMMIT_UNKNOWN', retryable: false, committed: null }

test.each(cuts)(
  'a connection lost %s COMMIT leaves it open whether a change was made, and it is sent once',
  async (cut) => {
    const db = await freshDatabase('postgresql')
    await db.query(
      `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-01', '2026-01-01')`,
    )
    await db.query(`INSERT INTO integrations (id, workspace_id, platform, name) VALUES ('i', 'w', 'slack', 'support')`)
    const proxy = await cutting(db, cut)

    const { code, stdout, stderr } = await runProgram(['toggle', 'support', '-o', 'json'], {
      env: { DATABASE_URL: proxy.url },
    })
    expect({ code, stdout, error: JSON.parse(stderr).error }).toEqual({
      code: 6,
      stdout: '',
      error: expect.objectContaining(unknown),
    })
    expect(proxy.commits()).toBe(1)
    const { stdout: after } = await runProgram(['show', 'support', '-o', 'json', '--fields', 'isActive,version'], {
      env: { DATABASE_URL: db.url },
    })
    expect(JSON.parse(after)).toEqual(
      cut === 'before' ? { isActive: true, version: 0 } : { isActive: false, version: 1 },
    )
  },
)

test.each(cuts)('a connection lost %s COMMIT leaves it open whether migrations were applied', async (cut) => {
  const db = await freshDatabase('postgresql')
  const names = async () =>
    (await db.query('SELECT migration_name FROM _prisma_migrations ORDER BY 1')).map((row) => row.migration_name)
  const [first = '', ...rest] = await names()
  await dropOwnTables(db)
  await db.query('DELETE FROM _prisma_migrations WHERE migration_name <> ?', String(first))
  const proxy = await cutting(db, cut)

  const { code, stdout, stderr } = await runProgram(['db', 'migrate', '-o', 'json'], {
    env: { DATABASE_URL: proxy.url },
  })
  expect({ code, stdout, error: JSON.parse(stderr).error }).toEqual({
    code: 6,
    stdout: '',
    error: expect.objectContaining(unknown),
  })
  expect(proxy.commits()).toBe(1)
  expect(await names()).toEqual(cut === 'before' ? [first] : [first, ...rest])
})

test.each(cuts)(
  'a connection lost %s COMMIT of a lease has no platform asked, and that is written down',
  async (cut) => {
    const db = await freshDatabase('postgresql')
    const server = await slackOAuth()
    const chain = server.install(1)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.url, XDG_STATE_HOME: freshFolder() }
    const adding = [
      'apps',
      'add',
      'bot',
      '--platform',
      'slack',
      '--client-id',
      app.id,
      '--client-secret-stdin',
      '-o',
      'id',
    ]
    expect(await runInProcess(adding, { env, input: app.secret })).toMatchObject({ code: 0 })
    const tokens = { ACCESS: accessToken(chain), REFRESH: refreshToken(chain) }
    const flags = ['--access-token-env', 'ACCESS', '--refresh-token-env', 'REFRESH', '--expires-in', '1h']
    const id = await addSlack({ ...env, ...tokens }, 'support', ...flags)
    const proxy = await cutting(db, cut)

    const { code, stderr } = await runProgram(['refresh', id, '-o', 'json'], {
      env: { ...env, DATABASE_URL: proxy.url },
    })
    const { error } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '')
    // Where there is something to settle, that is cut as well.
    expect([code, error.code, proxy.commits()]).toEqual(
      cut === 'before' ? [6, 'COMMIT_UNKNOWN', 1] : [9, 'OUTCOME_UNKNOWN', 2],
    )
    if (cut === 'after') expect(error.hint).toBe(`integrations recover ${id} --retry`)
    expect(server.exchanges).toEqual([])
    expect(await db.query('SELECT state, code FROM integration_refresh_attempts')).toEqual(
      cut === 'before' ? [] : [{ state: 'failed', code: 'not_asked' }],
    )
    expect(await runInProcess(['refresh', id], { env })).toMatchObject({ code: 0 })
    expect(server.exchanges).toEqual([tokens.REFRESH])
  },
)
