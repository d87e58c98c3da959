import { createClient } from '@libsql/client/sqlite3'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { populate } from '../../support/sample-commands.ts'

const told = (column: string, id: string) =>
  `the column ${column} of the row ${JSON.stringify(id)} cannot be read: its value is malformed, or longer than 1 MiB`

/** What no column of texts, or of instants, can be taken to hold, as SQL. */
const damage = {
  sqlite: { text: "CAST(x'ff41' AS TEXT)", time: "'soon'" },
  postgresql: { text: "chr(127) || 'text 2 FF41'", time: "'infinity'" },
} as const

describe.each(kinds)('damage of the tables of this program on %s', (kind) => {
  const { text, time } = damage[kind]
  const start = async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const env = { DATABASE_URL: db.url }
    const run = (...args: string[]) => runInProcess(args, { env })
    const ids = Object.fromEntries(
      (await db.query('SELECT id, name FROM integrations')).map(({ id, name }) => [String(name), String(id)]),
    )
    return { db, run, support: ids.support ?? '', desk: ids.desk ?? '' }
  }
  const unlock = (db: TestDatabase) =>
    db.query(
      kind === 'sqlite'
        ? 'DROP TRIGGER integration_events_no_update'
        : 'ALTER TABLE integration_events DISABLE TRIGGER ALL',
    )
  const problems = async (run: (...args: string[]) => Promise<{ code: number | null; stdout: string }>) => {
    // That the values of rows differ from the log, other tests tell.
    const { code, stdout } = await run('audit', 'verify', '-o', 'json')
    const problems = JSON.parse(stdout).problems.filter((one: object) => !('columns' in one))
    return { code: code === 8 && problems.length === 0 ? 0 : code, problems }
  }

  test('in the time of the newest event stops no change, and destroys no value', async () => {
    const { db, run } = await start()
    await unlock(db)
    const [newest] = await db.query('SELECT max(seq) AS seq FROM integration_events')
    const seq = Number(newest?.seq)
    await db.query(`UPDATE integration_events SET at = ${time} WHERE seq = ?`, seq)
    await db.query("UPDATE integration_secrets SET valid_until = '2020-01-01 00:00:00' WHERE valid_until IS NOT NULL")
    const kept = async () => (await db.query('SELECT 1 FROM integration_secrets WHERE sealed IS NOT NULL')).length
    expect(await kept()).toBe(1)
    expect(await run('workspaces', 'add', 'Globex')).toMatchObject({ code: 0 })
    expect(await kept()).toBe(1)
    expect((await problems(run)).problems[0]).toEqual({
      seq,
      problem: 'the event was changed: a column of it cannot be read',
    })
    expect(await run('workspaces', 'add', 'Initech')).toMatchObject({ code: 0 })
    expect(await kept()).toBe(0)
  })

  test('in a key hides no other key', async () => {
    const { db, run } = await start()
    const id = async (purpose: string) =>
      String((await db.query('SELECT id FROM integration_keys WHERE purpose = ?', purpose))[0]?.id)
    const [fingerprint, audit] = [await id('fingerprint'), await id('audit')]
    await db.query(`UPDATE integration_keys SET check_value = ${text} WHERE id = ?`, fingerprint)
    await db.query("UPDATE integration_keys SET purpose = 'other' WHERE id = ?", audit)
    const { code, stdout, stderr } = await run('keys', 'list', '--fields', 'purpose,state,inKeySet')
    expect({ code, stdout: stdout.split('\n').sort() }).toEqual({
      code: 0,
      stdout: ['', 'encryption\tactive\ttrue', 'fingerprint\tactive\t', 'other\tactive\t'],
    })
    expect(stderr).toContain(`warning: ${told('check_value', fingerprint)}`)
    expect(stderr).toContain(`warning: ${told('purpose', audit)}`)

    const [{ id: other = '' } = {}] = await db.query("SELECT id FROM integration_keys WHERE purpose = 'seal'")
    const hint = 'restore the table integration_keys from a backup'
    const damaged = [
      { problem: told('check_value', fingerprint), hint },
      { problem: told('purpose', audit), hint },
    ]
    const status = async () => {
      const outcome = await run('keys', 'status', '-o', 'json')
      const { mode, activeKey, keys, problems } = JSON.parse(outcome.stdout)
      return { code: outcome.code, mode, activeKey, keys: keys.length, problems }
    }
    const known = { code: 8, mode: 'required', keys: 3 }
    const byText = (list: { problem: string }[]) => list.sort((a, b) => (a.problem < b.problem ? -1 : 1))
    const first = await status()
    expect({ ...first, problems: byText(first.problems) }).toEqual({
      ...known,
      activeKey: other,
      problems: byText(damaged),
    })
    await db.query("UPDATE integration_keys SET state = 'other' WHERE purpose = 'seal'")
    expect(await status()).toMatchObject({
      ...known,
      activeKey: null,
      problems: expect.arrayContaining([...damaged, { problem: told('state', String(other)), hint }]),
    })
    expect(await run('keys', 'mode', '--fields', 'mode')).toMatchObject({ code: 0, stdout: 'required\n' })
  })

  test('in what tells which key a value needs hides no key, and keeps each key', async () => {
    const { db, run, support } = await start()
    const [{ id: old = '' } = {}] = await db.query("SELECT id FROM integration_keys WHERE purpose = 'seal'")
    for (const args of [['add'], ['activate', 'NEW'], ['reencrypt']]) {
      const [added] = await db.query("SELECT id FROM integration_keys WHERE state = 'decrypt-only'")
      expect(
        await run('keys', ...args.map((one) => (one === 'NEW' ? String(added?.id) : one)), '-o', 'id'),
      ).toMatchObject({ code: 0 })
    }
    await db.query(
      `UPDATE integration_secrets SET key_id = ${text} WHERE integration_id = ? AND field = 'webhook_secret' AND valid_until IS NULL`,
      support,
    )
    await db.query(`UPDATE integration_apps SET key_id = ${text}`)
    const unread = 'the key of some values cannot be read (1 current, 0 previous, 1 of apps)'
    const hint =
      'integrations audit verify names them; replace each with integrations rotate <ref> --end-previous --grace 0'
    const listed = await run('keys', 'list', '--fields', 'purpose,state,current,previous,apps')
    expect({ ...listed, stdout: listed.stdout.trim().split('\n').sort() }).toEqual({
      code: 0,
      stdout: [
        'audit\tactive\t0\t0\t0',
        'encryption\tactive\t3\t1\t0',
        'encryption\tdecrypt-only\t0\t0\t0',
        'fingerprint\tactive\t0\t0\t0',
      ],
      stderr: `warning: ${unread}: integrations audit verify names them\nthe key set of this database is ${process.env.INTEGRATIONS_TEST_KEYS}\n`,
    })
    const status = await run('keys', 'status', '-o', 'json')
    // Whether the value is plain cannot be told, either.
    const plain = 'current values are not encrypted, although the mode is required: 1'
    expect([status.code, JSON.parse(status.stdout).problems]).toEqual([
      8,
      [plain, unread].map((problem) => ({ problem, hint })),
    ])
    expect(await run('keys', 'retire', String(old))).toEqual({
      code: 5,
      stdout: '',
      stderr: `error: ${unread}, and may be the key ${old}\nhint: ${hint}\n`,
    })
    const [app] = await db.query('SELECT id FROM integration_apps')
    expect(await problems(run)).toEqual({
      code: 8,
      problems: [
        expect.objectContaining({ id: support, field: 'webhookSecret' }),
        expect.objectContaining({ id: app?.id, field: 'clientSecret' }),
        { table: 'integration_secrets', id: support, problem: told('key_id', support) },
      ],
    })
  })

  test('in an attempt to refresh hides no other attempt, and ends with the refresh token', async () => {
    const { db, run, support, desk } = await start()
    for (const id of [support, desk])
      await db.query(
        `INSERT INTO integration_refresh_attempts (integration_id, id, fence, state, owner, old_fingerprint, started_at, lease_until)
         VALUES ('${id}', 'a${id}', 1, 'unknown', 'o', '0011223344556677', '2026-01-01 00:00:00', '2026-01-01 00:02:00')`,
      )
    await db.query(`UPDATE integration_refresh_attempts SET state = ${text} WHERE integration_id = ?`, support)
    const recovered = await run('recover', '--all')
    expect({ ...recovered, stdout: recovered.stdout.trim().split('\n').sort() }).toEqual({
      code: 6,
      stdout: [`Acme\tdesk\tsuperseded\t\t\t${desk}`, `Acme\tsupport\terror\t\t\t${support}`],
      stderr: expect.stringContaining(told('state', support)),
    })
    expect(await problems(run)).toEqual({
      code: 8,
      problems: [{ table: 'integration_refresh_attempts', id: support, problem: told('state', support) }],
    })
    const rotate = ['rotate', 'support', '--refresh-token-stdin', '--grace', '0', '-o', 'id']
    expect(
      await runInProcess(rotate, { env: { DATABASE_URL: db.url }, input: `xoxe-1-${'b'.repeat(60)}` }),
    ).toMatchObject({ code: 0 })
    expect(await run('recover', 'support')).toMatchObject({ code: 0 })
    expect(await problems(run)).toEqual({ code: 0, problems: [] })
  })

  test('in a row of versions that names no integration any more is named, and stops no change', async () => {
    const { db, run, support } = await start()
    const spoil = `UPDATE integration_versions SET integration_id = ${text} WHERE integration_id = '${support}'`
    if (kind === 'sqlite') {
      const client = createClient({ url: db.url })
      await client.executeMultiple(`PRAGMA foreign_keys = OFF; ${spoil}`)
      client.close()
    } else await db.query(`BEGIN; SET LOCAL session_replication_role = replica; ${spoil}; COMMIT`)
    expect(await run('list', '--fields', 'name,version')).toEqual({
      code: 0,
      stdout: 'desk\t1\nsupport\t0\n',
      stderr: '',
    })
    expect(await problems(run)).toEqual({
      code: 8,
      problems: [{ table: 'integration_versions', id: '\\xffA', problem: told('integration_id', '\\xffA') }],
    })
    expect(await run('disable', 'support', '-o', 'id')).toMatchObject({ code: 0, stdout: `${support}\n` })
  })
})
