import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { describe, expect, test } from 'vitest'
import { createFile } from '../../../src/store/database/sqlite/file.ts'
import { freshDatabase, kinds, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { freshFolder, runProgram } from '../../support/program.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { populate } from '../../support/sample-commands.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack, message, slackEvent } from '../../support/webhooks.ts'

/** Müller in Latin-1, which is not UTF-8: libsql ends the process that reads it as a text. */
const latin1 = "CAST(x'4dfc6c6c6572' AS TEXT)"

/** What a command gives, and whether it took no more than 256 MB of memory. */
async function peak(args: readonly string[], env: Record<string, string>) {
  const script = join(freshFolder(), 'peak.cjs')
  writeFileSync(
    script,
    // Not maxRSS, which begins with what the process that started this one held.
    `const { appendFileSync, readFileSync } = require('node:fs')
    process.on('exit', () => appendFileSync(__filename + '.kb', /^VmHWM:\\s*(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1] + ' '))`,
  )
  const { code, stdout, stderr } = await runProgram(args, { env: { ...env, NODE_OPTIONS: `--require ${script}` } })
  // A thread tells of the whole process, too.
  const [kilobytes] = readFileSync(`${script}.kb`, 'utf8').split(' ')
  return { code, stdout, stderr, isWithin: Number(kilobytes) * 1024 < 256e6 }
}

const idOf = async (db: TestDatabase, name: string) =>
  String((await db.query('SELECT id FROM integrations WHERE name = ?', name))[0]?.id)

test('bytes that are not UTF-8 hide nothing but themselves, and can be replaced', async () => {
  const db = await freshDatabase('sqlite')
  await populate(db)
  const env = { DATABASE_URL: db.url }
  await db.query(`UPDATE integrations SET slack_team_name = ${latin1} WHERE name = 'support'`)
  const id = await idOf(db, 'support')
  const told = `the column slack_team_name of the row "${id}" cannot be read: its value is malformed, or longer than 1 MiB`
  expect(await runProgram(['list', '-o', 'csv', '--fields', 'name,slackTeamName'], { env })).toEqual({
    code: 0,
    stdout: 'name,slackTeamName\ndesk,\nsupport,M\\xfcller\n',
    stderr: `warning: ${told}\n`,
  })
  const refused = {
    code: 6,
    stdout: '',
    stderr: `error: ${told}\nhint: replace the value with integrations update or integrations rotate, or in the application\n`,
  }
  for (const args of [['show'], ['secrets', 'list'], ['config', 'get'], ['disable']])
    expect(await runInProcess([...args, 'support'], { env })).toEqual(refused)
  expect(await runInProcess(['show', 'desk', '-o', 'id'], { env })).toMatchObject({ code: 0, stderr: '' })
  expect(await runInProcess(['keys', 'reencrypt'], { env })).toMatchObject({ code: 0 })
  expect(await runInProcess(['audit', 'verify', '-o', 'table'], { env })).toMatchObject({
    code: 8,
    stdout: expect.stringContaining(`Acme/support (${id}): changed without an event: slack_team_name\n`),
  })
  await db.query("UPDATE integrations SET config = zeroblob(9) WHERE name = 'support'")
  expect(await runInProcess(['config', 'set', 'support', 'slackEvents=["message"]'], { env })).toMatchObject({
    code: 0,
  })
  expect(await runInProcess(['update', 'support', '--slack-team-name', 'Müller'], { env })).toMatchObject({ code: 0 })
  expect(await db.query("SELECT slack_team_name, config FROM integrations WHERE name = 'support'")).toEqual([
    { slack_team_name: 'Müller', config: '{"slackEvents":["message"]}' },
  ])
  expect(await runInProcess(['show', 'support', '-o', 'id'], { env })).toEqual({
    code: 0,
    stdout: `${id}\n`,
    stderr: '',
  })
})

test('a secret that is not a text is replaced by a rotation, and told of until then', async () => {
  const db = await freshDatabase('sqlite')
  await populate(db)
  const env = { DATABASE_URL: db.url }
  await db.query(`UPDATE integrations SET webhook_secret = CAST(x'ff41' AS TEXT) WHERE name = 'support'`)
  expect((await runInProcess(['secrets', 'reveal', 'support', 'webhook-secret'], { env })).code).toBe(6)
  expect((await runInProcess(['keys', 'reencrypt'], { env })).code).toBe(6)
  expect((await runInProcess(['audit', 'verify'], { env })).code).toBe(8)
  const rotate = ['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--end-previous']
  expect((await runInProcess(rotate, { env, input: signingSecret(9) })).code).toBe(0)
  expect(await runInProcess(['secrets', 'reveal', 'support', 'webhook-secret'], { env })).toMatchObject({
    code: 0,
    stdout: `${signingSecret(9)}\n`,
  })
  expect((await runInProcess(['audit', 'verify'], { env })).code).toBe(0)
})

test('what is recorded of a secret may have bytes that are not UTF-8, which are told of as a change', async () => {
  const db = await freshDatabase('sqlite')
  await populate(db)
  const env = { DATABASE_URL: db.url }
  const id = await idOf(db, 'support')
  await db.query(
    `UPDATE integration_secrets SET set_by = '\\x41' || ${latin1} WHERE integration_id = ? AND field = 'webhook_secret'`,
    id,
  )
  expect(await runProgram(['audit', 'verify', '-o', 'table'], { env })).toMatchObject({
    code: 8,
    stdout: expect.stringMatching(/changed without an event: integration_secrets\.set_by \(webhook_secret \d\)/),
  })
  expect(await runInProcess(['disable', 'support'], { env })).toMatchObject({ code: 0 })
  // One that holds another kind of value cannot be compared.
  await db.query('UPDATE integration_secrets SET set_at = ? WHERE integration_id = ?', 'never', id)
  expect(await runProgram(['audit', 'verify', '-o', 'table'], { env })).toMatchObject({
    code: 8,
    stdout: expect.stringMatching(/changed without an event: integration_secrets$/m),
  })
  expect(await runInProcess(['enable', 'support'], { env })).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('cannot be read'),
  })
})

test('an event with other bytes than its own is a changed event', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url }
  await runInProcess(['workspaces', 'add', 'Acme', '--reason', 'a\ufffd'], { env })
  expect((await runInProcess(['audit', 'verify'], { env })).code).toBe(0)
  await db.query('DROP TRIGGER integration_events_no_update')
  // A decoder that puts U+FFFD in the place of a bad byte, or cuts at a zero, sees what was recorded.
  for (const reason of ["CAST(x'61ff' AS TEXT)", "'a\ufffd' || char(0) || 'and more'", "x'61efbfbd'"]) {
    await db.query(`UPDATE integration_events SET reason = ${reason} WHERE action = 'workspace.add'`)
    const { code, stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env })
    expect([code, JSON.parse(stdout).problems[0].seq]).toEqual([8, 2])
    expect((await runInProcess(['audit', 'list'], { env })).code).toBe(0)
  }
})

describe.each(kinds)('on %s', (kind) => {
  test('a row that cannot be read is unavailable to its own webhooks alone', async () => {
    const { db, store, errors, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1), { team: 'T012AB3CD' })
    await add(store, 'other', signingSecret(2), { team: 'T0OTHER' })
    await db.query(
      `UPDATE integrations SET slack_team_name = ${kind === 'sqlite' ? latin1 : "repeat('x', 2000000)"} WHERE name = 'support'`,
    )
    const receiver = await receive()
    const other = slackEvent(message, { team_id: 'T0OTHER' })
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual([503, 'unavailable'])
    expect(brief(await receiver.slack(fromSlack(signingSecret(2), other)))).toEqual(['other', 'message', 1, 'current'])
    expect(new Set(errors.map((error) => (error as Error).message))).toEqual(
      new Set([
        `the column slack_team_name of the row "${id}" cannot be read: its value is malformed, or longer than 1 MiB`,
      ]),
    )
  })

  test('a version whose key or fingerprint cannot be read is replaced by a rotation', async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const env = { DATABASE_URL: db.url }
    const rotate = (n: number) =>
      runInProcess(['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--end-previous'], {
        env,
        input: signingSecret(n),
      })
    const id = await idOf(db, 'support')
    const mark = kind === 'sqlite' ? "CAST(x'ff41' AS TEXT)" : "chr(127) || 'text 1 41'"
    for (const [n, column] of ['key_id', 'fingerprint'].entries()) {
      await db.query(
        `UPDATE integration_secrets SET ${column} = ${mark} WHERE integration_id = ? AND field = 'webhook_secret' AND valid_until IS NULL`,
        id,
      )
      expect((await runInProcess(['secrets', 'list', 'support'], { env })).code).toBe(6)
      expect(await rotate(n + 7)).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') })
      expect(await runInProcess(['secrets', 'list', 'support'], { env })).toMatchObject({ code: 0, stderr: '' })
      expect(await runInProcess(['secrets', 'reveal', 'support', 'webhook-secret'], { env })).toMatchObject({
        code: 0,
        stdout: `${signingSecret(n + 7)}\n`,
      })
    }
    expect((await runInProcess(['audit', 'verify'], { env })).code).toBe(0)
  })

  test('a text of megabytes is told of by its length', async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const long = kind === 'sqlite' ? "replace(hex(zeroblob(1000000)), '00', 'abcd')" : "repeat('abcd', 1000000)"
    await db.query(`UPDATE integrations SET slack_team_name = ${long} WHERE name = 'support'`)
    const { code, stdout } = await runInProcess(['list', '-o', 'json', '--fields', 'name,slackTeamName'], {
      env: { DATABASE_URL: db.url },
    })
    expect({ code, rows: JSON.parse(stdout) }).toEqual({
      code: 0,
      rows: [
        { name: 'desk', slackTeamName: null },
        { name: 'support', slackTeamName: '… (4000000 bytes)' },
      ],
    })
  })

  test('many long texts are read a few at a time, within 256 MB', async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: 'pylon=http://127.0.0.1:9/,slack=http://127.0.0.1:9/' }
    expect((await runInProcess(['keys', 'mode', 'migrating'], { env })).code).toBe(0)
    // Control characters: in JSON, each takes six bytes.
    const long = kind === 'sqlite' ? "replace(hex(zeroblob(340000)), '00', char(1))" : 'repeat(chr(1), 340000)'
    await db.query(
      `INSERT INTO integrations (id, workspace_id, platform, name, slack_team_name, access_token, refresh_token)
        WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 21)
        SELECT 'long-' || n.i, i.workspace_id, 'pylon', 'long-' || n.i, ${long}, ${long}, ${long}
        FROM integrations i, n WHERE i.name = 'support'`,
    )
    const listed = await peak(['list', '--limit', '100', '-o', 'jsonl', '--fields', 'slackTeamName'], env)
    expect({
      ...listed,
      stdout: listed.stdout
        .trim()
        .split('\n')
        .filter((row) => row.length > 2e6).length,
    }).toEqual({
      code: 0,
      stdout: 12,
      stderr: '',
      isWithin: true,
    })
    // Another program has put the rows in.
    expect(await peak(['audit', 'verify'], env)).toMatchObject({ code: 8, isWithin: true })

    // Encrypted, it would be too long to be read.
    const longest = kind === 'sqlite' ? "replace(hex(zeroblob(250000)), '00', 'abcd')" : "repeat('abcd', 250000)"
    await db.query(`UPDATE integrations SET access_token = ${longest} WHERE id = 'long-17'`)
    const { code, stderr, isWithin } = await peak(['keys', 'reencrypt'], env)
    expect({ code, isWithin, stderr: stderr.split('\n').slice(0, 2) }).toEqual({
      code: 6,
      isWithin: true,
      stderr: [
        'changed 23 values',
        'warning: the access-token of Acme/long-17 (long-17) cannot be decrypted: the stored access token of long-17 is too long to be encrypted: its encrypted text would be longer than 1 MiB',
      ],
    })
    const plain = 'SELECT id, length(access_token) AS n FROM integrations WHERE length(access_token) > 900000'
    expect(await db.query(plain)).toEqual([{ id: 'long-17', n: 1_000_000 }])
    const checked = await peak(['check', '--all', '--wait', '0', '-o', 'jsonl', '--fields', 'name'], env)
    expect([checked.code, checked.stdout.trim().split('\n').length, checked.isWithin]).toEqual([7, 14, true])
  })

  test('previous values of an integration that are long together stop nothing', async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const env = { DATABASE_URL: db.url }
    const id = await idOf(db, 'support')
    const long = kind === 'sqlite' ? "replace(hex(zeroblob(225000)), '00', 'abcd')" : "repeat('abcd', 225000)"
    await db.query(
      `INSERT INTO integration_secrets (integration_id, field, number, origin, key_id, sealed, set_at, valid_until)
        WITH RECURSIVE n (i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < 106)
        SELECT ?, 'access_token', n.i, 'provided', 'k', ${long}, '2026-01-01 00:00:00', '2026-01-02 00:00:00' FROM n`,
      id,
    )
    const reencrypted = await runInProcess(['keys', 'reencrypt'], { env })
    expect([reencrypted.code, reencrypted.stderr.match(/^warning: .* cannot be decrypted/gm)?.length]).toEqual([6, 6])
    const verified = await runInProcess(['audit', 'verify', '-o', 'json'], { env })
    const problems = JSON.parse(verified.stdout).problems.filter(
      ({ field }: { field?: string }) => field === 'accessToken',
    )
    expect([verified.code, problems.length]).toEqual([8, 6])
  })

  test('apps and triggers that are long together are all read', async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const env = { DATABASE_URL: db.url }
    const long = kind === 'sqlite' ? "replace(hex(zeroblob(225000)), '00', 'abcd')" : "repeat('abcd', 225000)"
    await db.query(
      `INSERT INTO integration_apps (id, platform, name, client_id, client_secret, key_id, created_at)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6)
        SELECT 'long-' || n.i, 'slack', 'long-' || n.i, ${long}, ${long}, 'k', '2026-01-01 00:00:00' FROM n`,
    )
    const note = `/* ${'abcd'.repeat(225_000)} */`
    for (let n = 1; n <= 6; n++)
      if (kind === 'sqlite')
        await db.query(`CREATE TRIGGER long_${n} BEFORE UPDATE ON integration_apps BEGIN SELECT 1; ${note} END`)
      else {
        await db.query(
          `CREATE FUNCTION long_${n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN ${note} RETURN NEW; END'`,
        )
        await db.query(
          `CREATE TRIGGER long_${n} BEFORE UPDATE ON integration_apps FOR EACH ROW EXECUTE FUNCTION long_${n}()`,
        )
      }
    const listed = await runInProcess(['apps', 'list', '-o', 'id'], { env })
    expect([listed.code, listed.stdout.match(/^long-\d$/gm)?.length]).toEqual([0, 6])
    const verified = await runInProcess(['audit', 'verify'], { env })
    expect([verified.code, verified.stdout.match(/long_\d/g)?.length]).toEqual([8, 6])
    const reencrypted = await runInProcess(['keys', 'reencrypt'], { env })
    expect([reencrypted.code, reencrypted.stderr.match(/^warning: .* cannot be decrypted/gm)?.length]).toEqual([6, 6])
  })

  test('numbers and instants that no column should hold are told of', async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const env = { DATABASE_URL: db.url }
    const id = await idOf(db, 'support')
    const instants =
      kind === 'sqlite'
        ? ["'infinity'", "'-4713-11-24'", '9e999', "x'00'"]
        : ["'infinity'", "'-infinity'", "'280000-01-01'"]
    for (const instant of instants) {
      await db.query(
        `UPDATE integrations SET token_expires_at = ${instant}, last_used_at = ${instant} WHERE id = ?`,
        id,
      )
      const listed = await runInProcess(['list', '-o', 'json'], { env })
      expect([listed.code, JSON.parse(listed.stdout).length]).toEqual([0, 2])
      expect(JSON.parse(listed.stderr).message).toContain(
        `the columns token_expires_at, last_used_at of the row "${id}" cannot be read`,
      )
      expect((await runInProcess(['show', id], { env })).code).toBe(6)
    }
    if (kind === 'postgresql') return
    await db.query('UPDATE integrations SET token_expires_at = NULL, last_used_at = NULL')
    await db.query('UPDATE integration_versions SET version = 9223372036854775807 WHERE integration_id = ?', id)
    const listed = await runInProcess(['list'], { env })
    expect(listed.code).toBe(0)
    expect(listed.stderr).toContain(`the column version of the row "${id}" cannot be read`)
    expect((await runInProcess(['disable', id], { env })).code).toBe(6)
  })
})

test('what the migrations read is looked at first', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url }
  const [last] = await db.query('SELECT id, migration_name AS name FROM _prisma_migrations ORDER BY started_at DESC')
  await db.query('DELETE FROM _prisma_migrations WHERE id = ?', String(last?.id))
  await db.query(`UPDATE _prisma_migrations SET logs = ${latin1} WHERE migration_name LIKE '%keys_events'`)
  const [spoilt] = await db.query("SELECT id FROM _prisma_migrations WHERE migration_name LIKE '%keys_events'")
  expect(await runProgram(['db', 'migrate'], { env })).toEqual({
    code: 6,
    stdout: '',
    stderr: `error: the column logs of the row "${spoilt?.id}" cannot be read: its value is malformed, or longer than 1 MiB\nhint: replace the value with integrations update or integrations rotate, or in the application\n`,
  })
})

test('CSV holds nothing that a terminal would act on', async () => {
  const db = await freshDatabase('sqlite')
  await populate(db)
  await db.query("UPDATE integrations SET slack_team_name = 'a' || char(27) || '[31m' || char(8238) || 'b'")
  const { stdout } = await runProgram(['list', '-o', 'csv', '--fields', 'slackTeamName', '--limit', '1'], {
    env: { DATABASE_URL: db.url },
  })
  expect(stdout).toBe('slackTeamName\na\\u{1b}[31m\\u{202e}b\n')
})

test('making the file of a database that is there drops no lock on it', async () => {
  const db = await freshDatabase('sqlite')
  const file = db.url.slice('file:'.length)
  const env = { DATABASE_URL: db.url }
  const client = createClient({ url: db.url })
  await client.execute('PRAGMA journal_mode = WAL')
  await client.execute("INSERT INTO workspaces VALUES ('w1', 'First', '2026-01-01', '2026-01-01')")
  createFile(file)
  // Another process that believes to be the last one puts the log into the file, and removes it.
  expect((await runProgram(['workspaces', 'add', 'Other'], { env })).code).toBe(0)
  await client.execute("INSERT INTO workspaces VALUES ('w2', 'Second', '2026-01-01', '2026-01-01')")
  const { stdout } = await runProgram(['workspaces', 'list', '-o', 'csv', '--fields', 'name'], { env })
  client.close()
  expect(stdout).toBe('name\nFirst\nOther\nSecond\n')
})
