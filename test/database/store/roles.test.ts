import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { contents, freshDatabase, serverLog, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { freshFolder, runProgram } from '../../support/program.ts'
import { type Role, refusal, withRoles } from '../../support/roles.ts'
import {
  changingCommands,
  commandsWithKeys,
  everyCommand,
  neitherCommands,
  populate,
  readOnlyCommands,
  revealingCommands,
  runSample,
  settledCommands,
} from '../../support/sample-commands.ts'
import { notes } from '../../support/told.ts'

test('every command is tried here', async () => {
  const tried = [...readOnlyCommands, ...commandsWithKeys, ...revealingCommands, ...changingCommands].map(
    ({ command }) => command,
  )
  expect(new Set([...tried, ...neitherCommands, ...settledCommands])).toEqual(new Set(await everyCommand()))
})

/** What a receiver writes down of a refused webhook. */
const refusedOne = `INSERT INTO integration_health (integration_id, refused_count, refused_since, refused_at, refused_reason)
  SELECT min(id), 1, now(), now(), 'signature_stale' FROM integrations
  ON CONFLICT (integration_id) DO UPDATE SET refused_count = integration_health.refused_count + excluded.refused_count,
    refused_since = integration_health.refused_since, refused_at = excluded.refused_at, refused_reason = excluded.refused_reason`

const nobodysKeys = () => ({ INTEGRATIONS_KEYS_FILE: `${freshFolder()}/none.json` })
const denied =
  'error: the database role may not do this\nhint: connect as a role with the rights, or ask the owner of the database\n'

const deniedKeys = (login: TestDatabase) => {
  const { username } = new URL(login.url)
  return `error: the database role ${username} may not change keys or the encryption mode
hint: ask the owner of the database for the role of integrations db roles that may: GRANT integrations_key_admin TO "${username}"\n`
}

describe('roles of PostgreSQL', () => {
  let db: TestDatabase
  let as: Record<Role, TestDatabase>
  beforeAll(async () => {
    db = await freshDatabase('postgresql')
    await populate(db)
    as = await withRoles(db)
  })

  /** The same, whoever reads. */
  const impersonal = (text: string) => text.replaceAll(/\/\/\w+(:\w+)?@/g, '//<user>@')

  test.each(readOnlyCommands)('support may $args, without keys, and sees what the owner sees', async (sample) => {
    const owners = await runSample(sample, { DATABASE_URL: db.url }, runInProcess)
    const theirs = await runSample(sample, { DATABASE_URL: as.support.url, ...nobodysKeys() }, runInProcess)
    expect(owners).toMatchObject({ code: 0, stdout: expect.stringMatching(/./) })
    expect({ ...theirs, stdout: impersonal(theirs.stdout) }).toEqual({ ...owners, stdout: impersonal(owners.stdout) })
  })

  test('support is told that whether values are plain is not known', async () => {
    const args = ['keys', 'status', '-o', 'json', '--fields', 'plain,problems']
    expect(await runProgram(args, { env: { DATABASE_URL: as.support.url } })).toEqual({
      code: 0,
      stdout: '{\n  "plain": null,\n  "problems": []\n}\n',
      stderr: notes('cannot tell how many values are plain: counting needs the keys and the right to read secrets'),
    })
  })

  test('support may change nothing', async () => {
    const before = await contents(db)
    for (const sample of [...changingCommands, ...revealingCommands.slice(0, 1)]) {
      const { code, stdout, stderr } = await runSample(sample, { DATABASE_URL: as.support.url }, runInProcess)
      // An integration that the commands before would have renamed is looked for first.
      const isMissing = sample.args.includes('Acme/care')
      expect([sample.args, code, stdout]).toEqual([sample.args, isMissing ? 3 : 4, ''])
      const refused = sample.command === 'keys reencrypt' ? deniedKeys(as.support) : denied
      expect(stderr).toContain(isMissing ? 'error: there is no integration' : refused)
    }
    expect(await contents(db)).toEqual(before)
  })

  test('support reads no secret, nor what an application keeps beside', async () => {
    await db.query('ALTER TABLE users ADD COLUMN password_hash text')
    for (const statement of [
      'SELECT webhook_secret FROM integrations',
      'SELECT access_token FROM integrations',
      'SELECT refresh_token FROM integrations',
      'SELECT 1 FROM integrations WHERE access_token IS NULL',
      'SELECT sealed FROM integration_secrets',
      'SELECT client_secret FROM integration_apps',
      'SELECT * FROM integrations',
      'SELECT password_hash FROM users',
      'SELECT logs FROM _prisma_migrations',
      'UPDATE integrations SET last_used_at = NULL',
      'DELETE FROM integration_config_revisions',
      'UPDATE integration_health SET refused_count = NULL',
      'DELETE FROM integration_findings',
      "INSERT INTO integration_receivers (id, report, mac, updated_at) VALUES ('r', '', '', now())",
    ])
      expect([statement, await refusal(as.support.query(statement))]).toEqual([statement, '42501'])
    await db.query('ALTER TABLE users DROP COLUMN password_hash')
  })

  test('a receiver reads secrets and records their use, and no more', async () => {
    for (const statement of [
      'SELECT webhook_secret, access_token, refresh_token FROM integrations',
      'SELECT sealed, valid_until FROM integration_secrets',
      'SELECT id, state, check_value FROM integration_keys',
      'SELECT hash, format FROM integration_events',
      'UPDATE integrations SET last_used_at = now()',
      'UPDATE integration_secrets SET last_matched_at = now(), match_count = match_count + 1',
      "INSERT INTO integration_receivers (id, report, mac, updated_at) VALUES ('r', '', '', now()) ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at",
      "INSERT INTO integration_receivers (id, report, mac, updated_at) VALUES ('r', '', '', now()) ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at",
      'DELETE FROM integration_receivers',
      refusedOne,
      refusedOne,
    ])
      expect([statement, await refusal(as.receiver.query(statement))]).toEqual([statement, 'allowed'])
    for (const statement of [
      "UPDATE integrations SET webhook_secret = 'x'",
      'UPDATE integrations SET is_active = false',
      'DELETE FROM integrations',
      'UPDATE integration_secrets SET valid_until = NULL',
      "UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'",
      "UPDATE integration_settings SET updated_at = now() WHERE key = 'head'",
      "INSERT INTO integration_settings (key, value, updated_at) VALUES ('receiver', '', now())",
      'DELETE FROM integration_settings',
      'DELETE FROM integration_events',
      'DELETE FROM integration_config_revisions',
      "UPDATE integration_health SET check_verdict = 'ok'",
      'SELECT check_verdict FROM integration_health',
      'DELETE FROM integration_health',
      'SELECT code FROM integration_findings',
      "INSERT INTO integration_keys (id, purpose, state, check_value, created_at) VALUES ('x', 'seal', 'active', '', now())",
    ])
      expect([statement, await refusal(as.receiver.query(statement))]).toEqual([statement, '42501'])
  })

  test('every table of the program is spoken of', async () => {
    const { stdout } = await runProgram(['db', 'roles'], { env: { DATABASE_URL: db.url } })
    const granted = [...stdout.matchAll(/^GRANT .* ON "public"\."(\w+)" TO/gm)].map(([, name]) => name)
    expect(new Set(granted)).toEqual(new Set(Object.keys(await contents(db))))
    // A column that comes later is either a secret or granted.
    const columns = await db.query(
      `SELECT table_name AS name, column_name AS column FROM information_schema.columns WHERE table_name IN ('integrations', 'integration_secrets', 'integration_apps')
       AND NOT has_column_privilege('integrations_support', table_name, column_name, 'SELECT') ORDER BY 1, 2`,
    )
    expect(columns).toEqual([
      { name: 'integration_apps', column: 'client_secret' },
      { name: 'integration_secrets', column: 'sealed' },
      { name: 'integrations', column: 'access_token' },
      { name: 'integrations', column: 'refresh_token' },
      { name: 'integrations', column: 'webhook_secret' },
    ])
  })

  test('an operator makes every other change, and rewrites no history', async () => {
    for (const sample of changingCommands.filter(({ command }) => command !== 'keys reencrypt')) {
      const { code, stderr } = await runSample(sample, { DATABASE_URL: as.operator.url }, runInProcess)
      expect([sample.args, code, stderr]).toEqual([sample.args, 0, expect.not.stringContaining('error')])
    }
    const events = await db.query('SELECT DISTINCT database_role AS role FROM integration_events ORDER BY 1')
    expect(events).toContainEqual({ role: new URL(as.operator.url).username })
    for (const statement of [
      "UPDATE integration_events SET action = 'x'",
      'DELETE FROM integration_events',
      'TRUNCATE integration_events',
      'ALTER TABLE integrations ADD COLUMN x text',
      'DROP TABLE integration_events',
      'ALTER TABLE integration_events DISABLE TRIGGER ALL',
      'CREATE TABLE public.mine (id int)',
    ])
      expect([statement, await refusal(as.operator.query(statement))]).toEqual([statement, '42501'])
  })
})

test('keys and the mode are for their administrator, which an operator is told', async () => {
  const file = join(freshFolder(), 'keys.json')
  copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
  const db = await freshDatabase('postgresql')
  await populate(db)
  const as = await withRoles(db)
  const env = (login: TestDatabase) => ({ DATABASE_URL: login.url, INTEGRATIONS_KEYS_FILE: file })
  const [old] = await db.query("SELECT id FROM integration_keys WHERE purpose = 'seal'")
  const keys = (login: TestDatabase, ...args: string[]) => runInProcess(['keys', ...args], { env: env(login) })
  const commands = (next: string) => [
    ['add', next],
    ['activate', next],
    ['reencrypt'],
    ['retire', String(old?.id), '--confirm', String(old?.id)],
    ['mode', 'migrating', '--confirm', 'migrating'],
    ['mode', 'required', '--confirm', 'required'],
  ]

  const before = [await contents(db), readFileSync(file, 'utf8')]
  for (const args of [['add'], ...commands(String(old?.id))])
    expect(await keys(as.operator, ...args), args.join(' ')).toEqual({
      code: 4,
      stdout: '',
      stderr: deniedKeys(as.operator),
    })
  expect([await contents(db), readFileSync(file, 'utf8')]).toEqual(before)
  for (const statement of [
    "UPDATE integration_keys SET state = 'retired'",
    "INSERT INTO integration_keys (id, purpose, state, check_value, created_at) VALUES ('x', 'seal', 'active', '', now())",
    "UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'",
    "UPDATE integration_settings SET value = 'adopted' WHERE key = 'database'",
    "UPDATE integration_settings SET key = 'sealing' WHERE key = 'id'",
  ])
    expect([statement, await refusal(as.operator.query(statement))]).toEqual([statement, '42501'])

  // Nor with a function of their own in the place of the server's.
  const schema = `CREATE SCHEMA mine; CREATE FUNCTION mine.has_column_privilege(text, text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'`
  await db.query(schema)
  await db.query('GRANT USAGE ON SCHEMA mine TO PUBLIC; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mine TO PUBLIC')
  const own =
    "SET search_path = mine, pg_catalog, public; UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'"
  expect(await refusal(as.operator.query(own))).toBe('42501')

  const shown = as.operator.url.replace(':pass@', '@')
  const newId = ['db', 'new-id', '--reason', 'staging', '--confirm', shown, '-o', 'id']
  expect(await runInProcess(newId, { env: env(as.operator) })).toMatchObject({ code: 0 })

  const added = await keys(as.key_admin, 'add', '-o', 'id')
  expect(added).toMatchObject({ code: 0 })
  for (const args of commands(added.stdout.trim()))
    expect(await keys(as.key_admin, ...args), args.join(' ')).toMatchObject({ code: 0 })
  for (const login of [as.operator, as.key_admin])
    for (const args of [
      ['keys', 'status'],
      ['audit', 'verify'],
    ])
      expect(await runInProcess(args, { env: env(login) }), args.join(' ')).toMatchObject({ code: 0 })
  for (const statement of [
    "UPDATE integrations SET name = 'x'",
    'DELETE FROM integrations',
    "UPDATE integration_keys SET check_value = ''",
    'DELETE FROM integration_keys',
    'DELETE FROM integration_events',
    "UPDATE integration_apps SET name = 'x'",
  ])
    expect([statement, await refusal(as.key_admin.query(statement))]).toEqual([statement, '42501'])
})

test('in an adopted database, workspaces and users stay the application’s', async () => {
  const db = await freshDatabase('postgresql')
  await db.query("UPDATE integration_settings SET value = 'adopted' WHERE key = 'database'")
  const { operator } = await withRoles(db)
  const mayChange = (table: string) =>
    operator.query(
      `SELECT has_table_privilege('${table}', 'INSERT') OR has_table_privilege('${table}', 'DELETE') AS may`,
    )
  expect(await Promise.all(['integrations', 'workspaces', 'users'].map(mayChange))).toEqual([
    [{ may: true }],
    [{ may: false }],
    [{ may: false }],
  ])
})

test('roles that the rights of every role would make pointless are refused, and what a role had besides is taken back', async () => {
  const db = await freshDatabase('postgresql')
  const { support } = await withRoles(db)
  await db.query('GRANT ALL ON integrations, integration_secrets TO integrations_support')
  const { stdout } = await runProgram(['db', 'roles'], { env: { DATABASE_URL: db.url } })
  await db.query(stdout)
  await expect(support.query('SELECT access_token FROM integrations')).rejects.toMatchObject({ code: '42501' })
  await db.query('GRANT SELECT ON integrations TO PUBLIC')
  await expect(db.query(stdout)).rejects.toThrow(
    'integrations_support could still read integrations.webhook_secret: every role can, or a role that integrations_support is a member of',
  )
})

test('SQLite has no roles', async () => {
  expect(await runProgram(['db', 'roles'], { env: { DATABASE_URL: 'file:/nowhere/x.db' } })).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'error: SQLite has no roles: who can read the file reads all of it\nhint: with SQLite the key set is the boundary: keep it from people who must not see secrets\n',
  })
})

describe('in a database whose secrets are sealed, no command that changes nothing names a secret column', () => {
  const secret = /webhook_secret|access_token|refresh_token|\bsealed\b/

  // audit verify opens every secret, and keys status, where the keys are at hand, looks whether each is sealed.
  const silent = [...readOnlyCommands, ...commandsWithKeys.filter(({ command }) => command === 'keys list')]

  test.skipIf(inject('postgresqlLog') === '')('in what PostgreSQL was sent', async () => {
    const db = await freshDatabase('postgresql')
    await populate(db)
    await db.query(`ALTER DATABASE ${new URL(db.url).pathname.slice(1)} SET log_statement = 'all'`)
    for (const sample of silent)
      expect(await runSample(sample, { DATABASE_URL: db.url }, runInProcess)).toMatchObject({
        code: 0,
        stderr: expect.not.stringMatching(/error"?:/),
      })
    const log = (await serverLog(db)) ?? ''
    // Values are logged as well, and these are the names of the fields.
    const statements = log.split(/\n(?!\t)/).filter((entry) => !entry.includes('DETAIL:'))
    expect(statements.filter((entry) => entry.includes('FROM integrations')).length).toBeGreaterThan(
      readOnlyCommands.length / 2,
    )
    expect(statements.filter((entry) => secret.test(entry))).toEqual([])
  })

  test('in what SQLite could run without these columns', async () => {
    const db = await freshDatabase('sqlite')
    await populate(db)
    for (const column of ['webhook_secret', 'access_token', 'refresh_token'])
      await db.query(`ALTER TABLE integrations RENAME COLUMN ${column} TO hidden_${column}`)
    await db.query('ALTER TABLE integration_secrets RENAME COLUMN sealed TO hidden_sealed')
    for (const sample of silent) {
      const outcome = await runSample(sample, { DATABASE_URL: db.url }, runInProcess)
      expect({ ...outcome, args: sample.args }).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/./),
        args: sample.args,
      })
    }
  })
})
