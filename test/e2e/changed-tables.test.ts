import { describe, expect, test } from 'vitest'
import { contents, freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { signingSecret, stable } from '../support/samples.ts'
import { vouchFor } from '../support/state.ts'

/** A database that was adopted, with an integration of the application. */
async function adopted(kind: Kind): Promise<TestDatabase> {
  const db = await freshDatabase(kind)
  await db.query("UPDATE integration_settings SET value = 'adopted' WHERE key = 'database'")
  await vouchFor(db)
  await db.query(
    "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
  )
  await db.query(
    "INSERT INTO integrations (id, workspace_id, platform, name, slack_team_id) VALUES ('a', 'w', 'slack', 'a', 'T012AB3CD')",
  )
  return db
}

/** Has the application change its tables. What is in a function is in lower case. */
async function change(db: TestDatabase, statements: string): Promise<void> {
  for (const statement of statements.split(/; (?=[A-Z])/)) await db.query(statement)
}

/** A column that is not null, and a trigger that fills it. */
const filledAt = (moment: string) =>
  `DELETE FROM integrations; ALTER TABLE integrations ADD COLUMN region text NOT NULL; CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS 'begin new.region := ''eu''; return new; end'; CREATE TRIGGER fill ${moment} ON integrations FOR EACH ROW EXECUTE FUNCTION fill()`

const shown = (db: TestDatabase) => db.url.replace(/:[^:@/]*@/, '@')
const flag = (db: TestDatabase) => (db.kind === 'sqlite' ? ` --database ${db.url}` : '')
const said = (db: TestDatabase, differences: readonly string[]) =>
  `the tables of ${shown(db)} differ from what this program needs: ${differences.length === 1 ? differences[0] : differences.map((one, i) => `(${i + 1}) ${one}`).join('; ')}`
const hint = (db: TestDatabase) => `hint: change these tables back, then integrations db status${flag(db)}\n`

const forbidden = (refuser: string) => ({
  code: 5,
  stdout: '',
  stderr: `error: a rule of the application's own tables forbids this change${refuser}\nhint: see what the tables demand, or make the change in the application\n`,
})

const list = ['list', '-o', 'id']
const add = ['add', '--workspace', 'Acme', '--platform', 'slack', '--name', 'a longer name', '--slack-team-id', 'T012AB3CD', '--slack-team-name', 'Acme', '--webhook-secret-stdin', '-o', 'id'] // biome-ignore format: one line
const disable = ['disable', 'a', '-o', 'id']

type Case = [statements: string, args: readonly string[], ...differences: string[]]

const cases: Record<'both' | Kind, readonly Case[]> = {
  both: [
    [
      'ALTER TABLE integrations DROP COLUMN pylon_account_id',
      list,
      'the column integrations.pylon_account_id is missing',
    ],
    [
      'ALTER TABLE integrations RENAME COLUMN name TO label',
      list,
      'the column integrations.name is missing',
      'integrations.label, which this program does not know, is not null and has no default',
    ],
    [
      'ALTER TABLE integrations RENAME COLUMN slack_team_id TO "slackTeamId"',
      list,
      'the column integrations.slack_team_id is missing; the table has "slackTeamId"',
    ],
    ['ALTER TABLE workspaces RENAME COLUMN name TO title', list, 'the column workspaces.name is missing'],
    ['ALTER TABLE integrations RENAME TO connections', list, 'the table integrations is missing'],
    [
      'ALTER TABLE integrations RENAME TO connections; CREATE VIEW integrations AS SELECT DISTINCT * FROM connections',
      disable,
      'integrations is a view that takes no changes',
    ],
    [
      "ALTER TABLE integrations DROP COLUMN slack_team_name; ALTER TABLE integrations ADD COLUMN slack_team_name text GENERATED ALWAYS AS ('a') STORED",
      add,
      'the database generates integrations.slack_team_name',
    ],
    ['DROP TABLE integration_apps', list, 'the table integration_apps is missing'],
  ],
  postgresql: [
    [
      'ALTER TABLE integrations ALTER COLUMN name TYPE varchar(10)',
      add,
      'the type of integrations.name is character varying(10), which is too short: at least 50 characters',
    ],
    [
      'ALTER TABLE integrations ADD COLUMN region text NOT NULL DEFAULT 1; ALTER TABLE integrations ALTER COLUMN region DROP DEFAULT',
      add,
      'integrations.region, which this program does not know, is not null and has no default',
    ],
    [
      'ALTER TABLE integrations ALTER COLUMN access_token SET DEFAULT 1; UPDATE integrations SET access_token = DEFAULT; ALTER TABLE integrations ALTER COLUMN access_token SET NOT NULL, ALTER COLUMN access_token DROP DEFAULT',
      add,
      'integrations.access_token may not be null',
    ],
    [
      "CREATE TYPE platform AS ENUM ('slack'); ALTER TABLE integrations ALTER COLUMN platform TYPE platform USING platform::platform",
      ['add', '--workspace', 'Acme', '--platform', 'github', '--name', 'g', '--webhook-secret-stdin'],
      'the type of integrations.platform is platform, which lacks the values pylon, github',
    ],
    [
      'ALTER TABLE integrations ALTER COLUMN last_used_at TYPE bigint USING 0',
      list,
      'the type of integrations.last_used_at is bigint, not timestamp without time zone',
    ],
    [
      'CREATE DOMAIN short AS varchar(10); CREATE DOMAIN label AS short NOT NULL; ALTER TABLE integrations ALTER COLUMN name TYPE label',
      add,
      'the type of integrations.name is label (character varying(10)), which is too short: at least 50 characters',
    ],
    [
      "CREATE DOMAIN label AS text NOT NULL; UPDATE integrations SET access_token = 'a'; ALTER TABLE integrations ALTER COLUMN access_token TYPE label",
      add,
      'integrations.access_token may not be null',
    ],
    [
      filledAt('AFTER INSERT'),
      add,
      'integrations.region, which this program does not know, is not null and has no default',
    ],
  ],
  sqlite: [
    [
      'DELETE FROM integrations; ALTER TABLE integrations ADD COLUMN region text NOT NULL DEFAULT (NULL)',
      add,
      'integrations.region, which this program does not know, is not null and has no default',
    ],
  ],
}

/** Changes with which all goes on. */
const harmless: Record<'both' | Kind, readonly string[]> = {
  both: [
    'ALTER TABLE integrations ADD COLUMN notes text',
    "ALTER TABLE workspaces ADD COLUMN plan text NOT NULL DEFAULT 'free'",
    'ALTER TABLE workspaces RENAME TO teams; CREATE VIEW workspaces AS SELECT * FROM teams',
  ],
  postgresql: [
    'ALTER TABLE integrations ALTER COLUMN name TYPE varchar, ALTER COLUMN created_at TYPE timestamptz',
    'ALTER TABLE integrations ALTER COLUMN is_active DROP DEFAULT',
    `CREATE EXTENSION citext; ALTER TABLE users ALTER COLUMN email TYPE citext; ALTER TABLE workspaces ALTER COLUMN name TYPE citext; ALTER TABLE integrations ${['platform', 'name', 'webhook_secret', 'slack_team_id', 'slack_team_name'].map((column) => `ALTER COLUMN ${column} TYPE citext`).join()}`,
    "CREATE DOMAIN label AS text CHECK (value <> ''); CREATE DOMAIN tag AS label; CREATE DOMAIN moment AS timestamp(3); CREATE DOMAIN flag AS boolean; CREATE DOMAIN document AS jsonb; ALTER TABLE integrations ALTER COLUMN id TYPE label, ALTER COLUMN name TYPE tag, ALTER COLUMN webhook_secret TYPE label, ALTER COLUMN is_active TYPE flag, ALTER COLUMN config TYPE document, ALTER COLUMN last_used_at TYPE moment, ALTER COLUMN created_at TYPE moment; ALTER TABLE workspaces ALTER COLUMN created_at TYPE moment",
    "CREATE DOMAIN region AS text NOT NULL DEFAULT 'eu'; ALTER TABLE integrations ADD COLUMN region region",
    'ALTER TABLE integrations RENAME TO connections; CREATE VIEW integrations AS SELECT * FROM connections',
  ],
  sqlite: ['ALTER TABLE integrations RENAME COLUMN slack_team_id TO "Slack_Team_Id"'],
}

describe.each(kinds)('tables that the application has changed on %s', (kind) => {
  const run = runInProcess
  const status = ['db', 'status', '--fields', 'state,differences']

  test.each([...cases.both, ...cases[kind]])(
    '%s',
    async (statements: string, args: readonly string[], ...differences: string[]) => {
      const db = await adopted(kind)
      await change(db, kind === 'sqlite' ? statements.replace(' STORED', '') : statements)
      const env = { DATABASE_URL: db.url }
      const before = await contents(db)
      expect(await run(args, { env, input: signingSecret() })).toEqual({
        code: 6,
        stdout: '',
        stderr: `error: ${said(db, differences)}\n${hint(db)}`,
      })
      expect(await run(status, { env })).toEqual({
        code: 0,
        stdout: `changed\t${JSON.stringify(differences)}\n`,
        stderr: `${said(db, differences)}\n${hint(db)}`,
      })
      expect(await contents(db)).toEqual(before)
    },
  )

  test.each([...harmless.both, ...harmless[kind]])('%s is accepted', async (statements) => {
    const db = await adopted(kind)
    await change(db, statements)
    const env = { DATABASE_URL: db.url }
    expect(await run(status, { env })).toEqual({ code: 0, stdout: 'ready\t[]\n', stderr: '' })
    expect(await run(disable, { env })).toEqual({
      code: 0,
      stdout: 'a\n',
      stderr: 'changed Acme/a: isActive true -> false\n',
    })
    const added = await run(add, { env, input: signingSecret() })
    expect({ ...added, stdout: stable(added.stdout), stderr: '' }).toEqual({ code: 0, stdout: '<id>\n', stderr: '' })
  })

  test.runIf(kind === 'postgresql')('what a trigger may fill is left to it, and named when it does not', async () => {
    const db = await adopted(kind)
    await change(db, filledAt('BEFORE INSERT OR UPDATE'))
    const env = { DATABASE_URL: db.url }
    expect(await run(status, { env })).toEqual({ code: 0, stdout: 'ready\t[]\n', stderr: '' })
    const added = await run(add, { env, input: signingSecret() })
    expect({ ...added, stdout: stable(added.stdout), stderr: '' }).toEqual({ code: 0, stdout: '<id>\n', stderr: '' })
    expect(await db.query('SELECT region FROM integrations')).toEqual([{ region: 'eu' }])
    await change(db, 'DELETE FROM integrations; ALTER TABLE integrations DISABLE TRIGGER fill')
    expect(await run(add, { env, input: signingSecret() })).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('integrations.region, which this program does not know, is not null'),
    })
  })

  test.runIf(kind === 'postgresql')('a list of citext whose operators are in another schema loses no row', async () => {
    const db = await adopted(kind)
    await change(
      db,
      "CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions; ALTER TABLE integrations ALTER COLUMN name TYPE extensions.citext; INSERT INTO integrations (id, workspace_id, platform, name) VALUES ('b', 'w', 'pylon', 'B'), ('c', 'w', 'pylon', 'c'), ('d', 'w', 'pylon', 'D')",
    )
    const env = { DATABASE_URL: db.url }
    const found: string[] = []
    for (let cursor: string[] = []; found.length < 9; cursor = ['--cursor', found.at(-1) ?? '']) {
      const { stdout } = await run(['list', '--limit', '1', '-o', 'id', ...cursor], { env })
      if (stdout === '') break
      found.push(stdout.trim())
    }
    expect(found).toEqual(['b', 'd', 'a', 'c'])
  })

  test("an application's trigger and its references are told apart", async () => {
    const db = await adopted(kind)
    const env = { DATABASE_URL: db.url }
    await db.query('CREATE TABLE agents (integration_id text REFERENCES integrations (id))')
    await db.query("INSERT INTO agents VALUES ('a')")
    const remove = ['remove', 'a', '--confirm', 'a']
    expect(await run(remove, { env })).toEqual({
      code: 5,
      stdout: '',
      stderr: `error: another row of the application still refers to this one${kind === 'sqlite' ? '' : ': the constraint "agents_integration_id_fkey" of the table "agents"'}\nhint: remove that row in the application first\n`,
    })
    if (kind === 'sqlite')
      await db.query("CREATE TRIGGER frozen BEFORE UPDATE ON integrations BEGIN SELECT RAISE(ABORT, 'frozen'); END")
    else {
      await db.query(
        "CREATE FUNCTION frozen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''frozen''; END'",
      )
      await db.query('CREATE TRIGGER frozen BEFORE UPDATE ON integrations FOR EACH ROW EXECUTE FUNCTION frozen()')
    }
    expect(await run(disable, { env })).toEqual(forbidden(kind === 'sqlite' ? '' : ': the trigger function "frozen"'))
  })

  test("a rule of an application's table is told by its name, without a value of the row", async () => {
    const db = await adopted(kind)
    const env = { DATABASE_URL: db.url }
    await db.query(
      `ALTER TABLE integrations ADD COLUMN extra text CONSTRAINT "short ""names""" CHECK (length(name) < 5)`,
    )
    const of = kind === 'sqlite' ? '' : ' of the table "integrations"'
    expect(await run(add, { env, input: signingSecret() })).toEqual(
      forbidden(`: the constraint "short \\"names\\""${of}`),
    )
    expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'a' }])
  })
})
