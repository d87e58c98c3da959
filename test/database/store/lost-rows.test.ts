import { createClient } from '@libsql/client/sqlite3'
import { describe, expect, test } from 'vitest'
import { freshDatabase, type Kind, kinds, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { populate } from '../../support/sample-commands.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromPylon, fromSlack, message, slackEvent } from '../../support/webhooks.ts'

/** Changes a row as nothing should, foreign keys notwithstanding. */
async function spoil(db: TestDatabase, statement: string): Promise<void> {
  if (db.kind === 'postgresql') {
    for (const table of ['integrations', 'integration_secrets', 'workspaces'])
      await db.query(`ALTER TABLE ${table} DISABLE TRIGGER ALL`)
    await db.query(statement)
    return
  }
  const client = createClient({ url: db.url })
  await client.execute('PRAGMA foreign_keys = OFF')
  await client.execute(statement)
  client.close()
}

async function filled(kind: Kind) {
  const db = await freshDatabase(kind)
  await populate(db)
  const run = (args: string[], input?: string) =>
    runInProcess(args, { env: { DATABASE_URL: db.url }, ...(input === undefined ? {} : { input }) })
  const [row] = await db.query("SELECT id FROM integrations WHERE name = 'support'")
  return { db, id: String(row?.id), run }
}

/** What of its workspace's row an integration may be without. */
const lostWorkspaces = {
  sqlite: [
    'UPDATE integrations SET workspace_id = CAST(workspace_id AS BLOB)',
    'UPDATE workspaces SET id = CAST(id AS BLOB)',
  ],
  postgresql: ["UPDATE integrations SET workspace_id = 'nope'"],
}

const unreadableInstants = {
  sqlite: ["'garbage'", "x'00'", "''", '-9223372036854775808', "'now'"],
  postgresql: ["'-infinity'", "'infinity'"],
}

describe.each(kinds)('on %s', (kind) => {
  test.each(lostWorkspaces[kind])(
    'an integration whose workspace is lost is not lost with it: %s',
    async (spoiling) => {
      const { db, run } = await filled(kind)
      const all = (await db.query('SELECT id FROM integrations ORDER BY id')).map(({ id }) => String(id))
      await spoil(db, spoiling)
      const listed = await run(['list', '-o', 'id', '--sort', 'id'])
      expect([listed.code, listed.stdout]).toEqual([0, `${all.join('\n')}\n`])
      for (const id of all) {
        expect(listed.stderr).toContain(`the column workspace_id of the row "${id}" cannot be read`)
        expect(await run(['show', id])).toMatchObject({ code: 6, stdout: '' })
      }
      for (const sort of ['workspace', '-workspace']) {
        const page = (...more: string[]) => run(['list', `--sort=${sort}`, '-o', 'id', ...more])
        const { stdout } = await page('--all')
        const first = await page('--limit', '1')
        const second = await page('--limit', '1', '--cursor', first.stdout.trim())
        expect([stdout.trim().split('\n').length, first.stdout + second.stdout]).toEqual([2, stdout])
        expect((await page('--cursor', second.stdout.trim())).stdout).toBe('')
      }
      expect(JSON.parse((await run(['audit', 'verify', '-o', 'json'])).stdout).values).toBe(5)
    },
  )

  test('a webhook for an integration whose workspace is lost is unavailable', async () => {
    const { db, store, errors, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    await spoil(db, lostWorkspaces[kind][0] as string)
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual([503, 'unavailable'])
    expect(errors).toMatchObject([{ code: 'DATABASE_INVALID', message: expect.stringContaining(`row "${id}"`) }])
  })

  test.each(unreadableInstants[kind].slice(0, 1))(
    'a version that is valid until %s is told of, and replaced',
    async (instant) => {
      const { db, id, run } = await filled(kind)
      await run(['keys', 'mode', 'migrating', '--force'])
      const where = `WHERE integration_id = '${id}' AND field = 'webhook_secret' AND valid_until IS NULL`
      await spoil(db, `UPDATE integration_secrets SET valid_until = ${instant} ${where}`)
      const [{ webhook_secret: held } = {}] = await db.query('SELECT webhook_secret FROM integrations WHERE id = ?', id)
      expect(await run(['list', '-o', 'id'])).toMatchObject({
        code: 0,
        stderr: expect.stringContaining(`the column secrets of the row "${id}" cannot be read`),
      })
      // What the column holds is the encrypted value, and neither the secret nor to be encrypted again.
      expect(await run(['secrets', 'reveal', 'support', 'webhook-secret'])).toMatchObject({ code: 6, stdout: '' })
      expect((await run(['keys', 'reencrypt'])).code).toBe(6)
      expect(await db.query('SELECT webhook_secret FROM integrations WHERE id = ?', id)).toEqual([
        { webhook_secret: held },
      ])
      const rotated = await run(
        ['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--end-previous'],
        signingSecret(9),
      )
      expect(rotated).toMatchObject({ code: 0 })
      expect(await run(['secrets', 'list', 'support', '-o', 'id'])).toMatchObject({ code: 0, stderr: '' })
      expect(await run(['secrets', 'reveal', 'support', 'webhook-secret'])).toMatchObject({
        code: 0,
        stdout: `${signingSecret(9)}\n`,
      })
      expect(await run(['list', '-o', 'id'])).toMatchObject({ code: 0, stderr: '' })
    },
  )

  test('a webhook whose version cannot be read is unavailable, current or previous', async () => {
    const { db, store, errors, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    const receiver = await receive()
    const slack = async (n: number) => brief(await receiver.slack(fromSlack(signingSecret(n))))
    const spoilt = [...unreadableInstants[kind].map((value) => `valid_until = ${value}`), "field = 'other'"]
    if (kind === 'sqlite') spoilt.push("field = x'00'", 'integration_id = CAST(integration_id AS BLOB)')
    for (const set of spoilt) {
      const value = set.slice(0, set.indexOf(' '))
      const [{ before } = {}] = await db.query(`SELECT ${value} AS before FROM integration_secrets`)
      await spoil(db, `UPDATE integration_secrets SET ${set}`)
      expect([set, await slack(1)]).toEqual([set, [503, 'unavailable']])
      expect([set, errors.splice(0).length > 0]).toEqual([set, true])
      await spoil(db, `UPDATE integration_secrets SET ${value} = ${before === null ? 'NULL' : `'${before}'`}`)
    }
    expect(await slack(1)).toEqual(['support', 'message', 1, 'current'])
    await rotate(store, id, signingSecret(2), 60_000)
    const previous = 'WHERE number = 1'
    for (const set of spoilt) {
      const value = set.slice(0, set.indexOf(' '))
      const [{ before } = {}] = await db.query(`SELECT ${value} AS before FROM integration_secrets ${previous}`)
      await spoil(db, `UPDATE integration_secrets SET ${set} ${previous}`)
      expect([set, await slack(1)]).toEqual([set, [503, 'unavailable']])
      await spoil(
        db,
        `UPDATE integration_secrets SET ${value} = ${JSON.stringify(before instanceof Date ? before.toISOString() : before).replaceAll('"', "'")} WHERE number = 1`,
      )
    }
    expect(await slack(1)).toEqual(['support', 'message', 1, 'previous'])
  })

  test('a webhook whose stored secret does not decrypt is unavailable', async () => {
    const { db, store, receive } = await start(kind)
    await add(store, 'support', signingSecret(1))
    const receiver = await receive()
    for (const held of ['garbage', 'eyJhbGciOiJkaXIifQ..a.b.c']) {
      await db.query('UPDATE integrations SET webhook_secret = ?', held)
      expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual([503, 'unavailable'])
    }
  })

  test('a count of uses that cannot be raised does not keep the last use from being written down', async () => {
    const { db, store, errors, receive } = await start(kind)
    await add(store, 'support', signingSecret(1))
    const most = kind === 'sqlite' ? '9223372036854775807' : '2147483647'
    await db.query(`UPDATE integration_secrets SET match_count = ${most}`)
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual(['support', 'message', 1, 'current'])
    await receiver.flush()
    expect(errors).toEqual([])
    expect(
      await db.query(
        `SELECT match_count = ${most} AS same, last_matched_at IS NULL AS unused FROM integration_secrets`,
      ),
    ).toEqual([kind === 'sqlite' ? { same: 1, unused: 0 } : { same: true, unused: false }])
  })
})

test('whether an integration is active is told of where it cannot be read, and set again', async () => {
  const { db, id, run } = await filled('sqlite')
  for (const value of ["'true'", "'yes'", "'t'", "x'01'", '0.5']) {
    await db.query(`UPDATE integrations SET is_active = ${value} WHERE id = ?`, id)
    for (const filter of [[], ['--active'], ['--inactive']]) {
      const listed = await run(['list', '-o', 'id', ...filter])
      expect([value, filter, listed.code, listed.stdout.includes(id)]).toEqual([value, filter, 0, true])
      expect(listed.stderr).toContain(`the column is_active of the row "${id}" cannot be read`)
    }
    expect((await run(['show', id])).code).toBe(6)
    expect((await run(['enable', id])).code).toBe(0)
    expect(await db.query('SELECT is_active FROM integrations WHERE id = ?', id)).toEqual([{ is_active: 1 }])
    expect(await run(['show', id, '-o', 'id'])).toMatchObject({ code: 0, stderr: '' })
  }
})

test('a webhook for an integration that nothing tells to be inactive is not ignored', async () => {
  const { db, store, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const off = await add(store, 'off', signingSecret(1))
  await db.query('UPDATE integrations SET is_active = 0 WHERE id = ?', off)
  const receiver = await receive()
  for (const spoilt of ["is_active = 'true'", "slack_team_id = CAST(x'ff' AS TEXT)", "platform = x'00'"]) {
    await db.query(`UPDATE integrations SET ${spoilt} WHERE name = 'support'`)
    expect([spoilt, brief(await receiver.slack(fromSlack(signingSecret(1))))]).toEqual([spoilt, [503, 'unavailable']])
    await db.query(
      "UPDATE integrations SET is_active = 1, slack_team_id = 'T012AB3CD', platform = 'slack' WHERE name = 'support'",
    )
  }
})

test('a webhook that names an integration by what cannot be read is unavailable', async () => {
  const { db, store, receive } = await start('sqlite')
  const pylon = await add(store, 'desk', signingSecret(3), { platform: 'pylon' })
  const slack = await add(store, 'support', signingSecret(1))
  // Another integration of the same app: a team that has none is ignored.
  await add(store, 'other', signingSecret(1), { team: 'T0OTHER' })
  const receiver = await receive()
  const large = `{"text":"${'x'.repeat(100_000)}"}`
  const outcomes = async () => [
    brief(await receiver.slack(fromSlack(signingSecret(1)))),
    brief(await receiver.pylon(fromPylon(signingSecret(3), '{}'), { integrationId: pylon })),
    brief(await receiver.pylon(fromPylon(signingSecret(3), large), { integrationId: pylon })),
  ]
  for (const [column, id] of [
    ['id', pylon],
    ['platform', pylon],
    ['id', slack],
    ['slack_team_id', slack],
    ['platform', slack],
  ] as const)
    for (const value of [`CAST(${column} AS BLOB)`, `CAST(x'c3' || ${column} AS TEXT)`]) {
      const [{ n, before } = {}] = await db.query(
        `SELECT rowid AS n, ${column} AS before FROM integrations WHERE id = ?`,
        id,
      )
      await spoil(db, `UPDATE integrations SET ${column} = ${value} WHERE rowid = ${n}`)
      const found = await outcomes()
      expect([column, value, id === slack ? found.slice(0, 1) : found.slice(1)]).toEqual([
        column,
        value,
        Array(id === slack ? 1 : 2).fill([503, 'unavailable']),
      ])
      await spoil(db, `UPDATE integrations SET ${column} = '${before}' WHERE rowid = ${n}`)
    }
  expect(brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent(message, { team_id: 'T0NONE' }))))).toEqual([
    200,
    'unclaimed',
  ])
  expect(brief(await receiver.pylon(fromPylon(signingSecret(3), '{}'), { integrationId: 'nobody' }))).toEqual([
    401,
    'unknown_integration',
  ])
})

test('a row whose filtered column cannot be read meets every filter, and a change of it is refused by its id', async () => {
  const { db, id, run } = await filled('sqlite')
  const filters = {
    platform: ['--platform', 'pylon'],
    workspace_id: ['--workspace', 'Empty'],
    created_by: ['--created-by', 'ana@example.com'],
    token_expires_at: ['--expired'],
    last_used_at: ['--stale', '7d'],
  }
  for (const [column, filter] of Object.entries(filters)) {
    const [{ before } = {}] = await db.query(`SELECT ${column} AS before FROM integrations WHERE id = ?`, id)
    await spoil(db, `UPDATE integrations SET ${column} = x'ff00' WHERE id = '${id}'`)
    const listed = await run(['list', '-o', 'id', ...filter])
    expect([column, listed.code, listed.stdout.split('\n').includes(id)]).toEqual([column, 0, true])
    expect(listed.stderr).toContain(`the column ${column} of the row "${id}" cannot be read`)
    await spoil(
      db,
      `UPDATE integrations SET ${column} = ${before === null ? 'NULL' : `'${before}'`} WHERE id = '${id}'`,
    )
  }
  await spoil(db, "UPDATE integration_versions SET app_id = x'00'")
  expect((await run(['list'])).stderr).toContain(`the column app of the row "${id}" cannot be read`)
  await spoil(db, 'UPDATE integration_versions SET app_id = NULL')
  await spoil(db, `UPDATE integrations SET id = CAST(id AS BLOB) WHERE id = '${id}'`)
  for (const args of [
    ['update', 'support', '--slack-team-name', 'Acme'],
    ['config', 'set', 'support', 'slackEvents=["message"]'],
    ['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--end-previous'],
    ['disable', 'support'],
  ])
    expect(await run(args, signingSecret(9))).toMatchObject({
      code: 6,
      stderr: expect.stringContaining(`the column id of the row "${id}" cannot be read`),
    })
})
