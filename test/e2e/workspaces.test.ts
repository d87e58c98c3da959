import { spawn } from 'node:child_process'
import { once } from 'node:events'
import pg from 'pg'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database.ts'
import { bin, environment, runProgram } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'
import { seedIntegrations } from '../support/seed.ts'

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGKILL', null],
] as const)(
  'a removal of a workspace that %s ends in its midst leaves whole transactions, and the next ends it',
  async (signal, code) => {
    const db = await freshDatabase('postgresql')
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: process.env.INTEGRATIONS_TEST_KEYS ?? '' }
    const added =
      'add --platform slack --new-workspace Acme --name n00000 --slack-team-id T012AB3CD --webhook-secret-stdin'
    expect(await runProgram(added.split(' '), { env, input: signingSecret(1) })).toMatchObject({ code: 0 })
    await seedIntegrations(db, 2000)
    // The second transaction waits for this row; the first is done then.
    const other = new pg.Client(db.url)
    await other.connect()
    await other.query("BEGIN; UPDATE integrations SET name = name WHERE name = 'n00550'")
    const words = ['workspaces', 'remove', 'Acme', '--confirm', 'Acme']
    const child = spawn(process.execPath, [bin, ...words], { env: environment(env) })
    let stderr = ''
    child.stderr.on('data', (text) => (stderr += text))
    const closed = once(child, 'close')
    const left = async () => Number((await db.query('SELECT count(*) AS n FROM integrations'))[0]?.n)
    const waiting = async () =>
      (await db.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))
        .length
    await expect.poll(waiting, { timeout: 60_000 }).toBe(1)
    expect(await left()).toBe(1500)
    child.kill(signal)
    if (signal === 'SIGKILL') await closed
    await other.query('ROLLBACK')
    await other.end()
    expect((await closed)[0]).toBe(code)
    const rest = await left()
    expect([rest <= 1500, rest > 0]).toEqual([true, true])
    expect(stderr).toBe(
      signal === 'SIGKILL'
        ? ''
        : `error: stopped by a signal; ${2000 - rest} of 2000 integrations of Acme are removed\nhint: to remove the rest, run integrations workspaces remove Acme\n`,
    )
    expect(await runProgram(words, { env })).toMatchObject({
      code: 0,
      stderr: `removed Acme and ${rest} integrations\n`,
    })
    const events = await db.query(
      "SELECT action, count(*)::int AS events, count(DISTINCT target_id)::int AS targets FROM integration_events WHERE action LIKE '%.remove' GROUP BY action ORDER BY action",
    )
    expect(events).toEqual([
      { action: 'integration.remove', events: 2000, targets: 2000 },
      { action: 'workspace.remove', events: 1, targets: 1 },
    ])
    expect(await runProgram(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
  },
)
