import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { startPostgresql } from '../../support/postgresql.ts'
import { runProgram } from '../../support/program.ts'

test('a change whose wait for a standby was ended is said to be on the primary, to a role without warnings too', async () => {
  const server = await startPostgresql(['synchronous_standby_names=away'])
  onTestFinished(() => server.stop())
  const alone = `${server.url}?options=-c%20synchronous_commit%3Dlocal`
  const admin = new pg.Client({ connectionString: alone })
  await admin.connect()
  onTestFinished(() => admin.end())
  expect(await runProgram(['init'], { env: { DATABASE_URL: alone } })).toMatchObject({ code: 0 })
  await admin.query('ALTER ROLE postgres SET client_min_messages = error')
  const change = runProgram(['workspaces', 'add', 'Acme', '--wait', '2m'], { env: { DATABASE_URL: server.url } })
  const ended = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`
  while ((await admin.query(ended)).rows.length === 0);
  expect(await change).toEqual({
    code: 6,
    stdout: '',
    stderr: `error: the change was committed on the primary server, which stopped waiting for the standby server
hint: check that the standby server has the change before a failover; do not make the change again
`,
  })
  expect((await admin.query('SELECT name FROM workspaces')).rows).toEqual([{ name: 'Acme' }])
})
