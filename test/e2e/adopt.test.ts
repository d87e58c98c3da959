import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { application, database, rows } from '../support/application.ts'
import {
  contents,
  dropOwnTables,
  emptyPostgresql,
  journal,
  kinds,
  ownTables,
  sqliteDatabase,
  type TestDatabase,
} from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { keysWereThere } from '../support/keyring.ts'
import { freshFolder } from '../support/program.ts'

const shown = (db: TestDatabase) => db.url.replace(/:[^:@/]*@/, '@')
const flag = (db: TestDatabase) => (db.kind === 'sqlite' ? ` --database ${db.url}` : '')

/** All that the application sees of its own: its tables' definitions and rows. */
async function own(db: TestDatabase): Promise<unknown> {
  const definitions =
    db.kind === 'sqlite'
      ? `SELECT sql FROM sqlite_master WHERE tbl_name IN ('workspaces', 'users', 'integrations', 'agents') ORDER BY name`
      : `SELECT table_name, column_name, data_type, datetime_precision, is_nullable, column_default FROM information_schema.columns
         WHERE table_name IN ('workspaces', 'users', 'integrations', 'agents') ORDER BY 1, ordinal_position`
  const tables = await Promise.all(
    ['workspaces', 'users', 'integrations', 'agents'].map((table) => db.query(`SELECT * FROM ${table} ORDER BY id`)),
  )
  return [await db.query(definitions), ...tables]
}

const tables = (db: TestDatabase) =>
  db.query(
    db.kind === 'sqlite'
      ? `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`
      : `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`,
  )

/** What adopt says before it does anything. */
const effects = {
  sqlite: `what changes for the application:
  DROP TABLE integrations removes the rows of this program that refer to integrations, where PRAGMA foreign_keys is on
  the file uses a write-ahead log
`,
  postgresql: `what changes for the application:
  TRUNCATE integrations and DROP TABLE integrations fail, because tables of this program refer to integrations: use DELETE, which removes their rows too, or CASCADE
`,
}

const exclusion = (
  schema: string,
) => `so that the application's migration tool does not drop the tables of this program:
  prisma.config.ts   experimental: { externalTables: true }, tables: { external: [${ownTables.map((table) => `'${schema}${table}'`).join(', ')}] }
  drizzle.config.ts  tablesFilter: ['!integration_*', '!_prisma_migrations']
`

/** What an application's own migrations may make. */
function indexes(db: TestDatabase): string {
  const order = db.kind === 'sqlite' ? 'BINARY' : '"C"'
  const byName = `"name" COLLATE ${order}, "id" COLLATE ${order}`
  // On SQLite the primary key is one on bytes.
  const byId = db.kind === 'sqlite' ? '' : '  CREATE INDEX "integration_id_idx" ON "integrations" ("id" COLLATE "C");\n'
  return `large tables need these indexes; add the statements to the application's own migrations, or run integrations db index --create${flag(db)}:
  CREATE INDEX "integration_workspace_name_idx" ON "workspaces" (${byName});
  CREATE INDEX "integration_workspace_idx" ON "integrations" ("workspace_id", ${byName});
  CREATE INDEX "integration_name_idx" ON "integrations" (${byName});
${byId}  CREATE INDEX "integration_team_idx" ON "integrations" ("slack_team_id", "platform", "id");
  CREATE INDEX "integration_creator_idx" ON "integrations" ("created_by");
`
}

describe.each(kinds)('adopting on %s', (kind) => {
  const run = runInProcess

  test('takes none of several integrations of one platform and name for the one to update or keep', async () => {
    const second = rows
      .split(';')
      .find((row) => row.includes('INTO integrations'))
      ?.replace('IRFa-VaY2b_6KKrd', 'A-second')
    const db = await database(kind, application[kind], rows, `${second};`)
    const env = { DATABASE_URL: db.url }
    expect(await run(['db', 'adopt'], { env })).toMatchObject({ code: 0 })
    const before = await contents(db)
    const add = ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'support', '--webhook-secret-stdin']
    for (const more of [['--upsert', '--grace', '0'], ['--if-missing']])
      expect(await run([...add, ...more], { env, input: 'new-webhook-secret' })).toEqual({
        code: 2,
        stdout: '',
        stderr:
          'error: several integrations are named "Acme/support@pylon"\nhint: use one of: A-second, IRFa-VaY2b_6KKrd\n',
      })
    expect(await run(add, { env, input: 'new-webhook-secret' })).toMatchObject({ code: 5 })
    expect(await contents(db)).toEqual(before)
  })

  test("takes over an application's database without altering it, and works on its rows", async () => {
    const db = await database(kind, application[kind], rows)
    const env = { DATABASE_URL: db.url, SECRET: 'new-webhook-secret' }
    const before = await own(db)
    const untouched = [await tables(db), await journal(db)]

    expect(await run(['db', 'adopt', '--dry-run', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `${effects[kind]}would adopt ${shown(db)}: the application still owns workspaces, users and integrations\n${exclusion(kind === 'sqlite' ? '' : 'public.')}${indexes(db)}`,
    })
    expect([await tables(db), await journal(db)]).toEqual(untouched)
    expect(await run(['db', 'adopt', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `${effects[kind]}${keysWereThere()}adopted ${shown(db)}: the application still owns workspaces, users and integrations\n${exclusion(kind === 'sqlite' ? '' : 'public.')}${indexes(db)}`,
    })
    expect(await own(db)).toEqual(before)
    expect(await db.query(`SELECT key, value FROM integration_settings ORDER BY key`)).toEqual([
      { key: 'database', value: 'adopted' },
      { key: 'head', value: expect.stringMatching(/^[0-9a-f]{64}$/) },
      { key: 'id', value: expect.any(String) },
      { key: 'sealing', value: 'off' },
    ])
    expect(await run(['db', 'adopt', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `${shown(db)} is already adopted\n`,
    })
    expect(await run(['db', 'migrate', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `${shown(db)} is already up to date\n`,
    })

    const shownBefore = await run(
      [
        'show',
        'Acme/support',
        '-o',
        'json',
        '--fields',
        'id,workspace,isActive,webhookSecret,createdBy,createdAt,version',
      ],
      { env },
    )
    expect({ ...shownBefore, stdout: JSON.parse(shownBefore.stdout) }).toEqual({
      code: 0,
      stderr: '',
      stdout: {
        id: 'IRFa-VaY2b_6KKrd',
        workspace: 'Acme',
        isActive: true,
        webhookSecret: { set: true, fingerprint: null, setAt: null, previousValidUntil: null },
        createdBy: 'cjld2cjxh0000qzrmn831i7rn',
        createdAt: '2026-01-02T03:04:05.000Z',
        version: 0,
      },
    })
    expect(
      await run(['rotate', 'IRFa-V', '--webhook-secret-env', 'SECRET', '--grace', '0', '-o', 'id'], { env }),
    ).toMatchObject({ code: 0 })
    expect(await runInProcess(['update', 'support', '--pylon-account-id', 'acc_1', '-o', 'id'], { env })).toMatchObject(
      {
        code: 0,
      },
    )
    expect(await runInProcess(['disable', 'support', '-o', 'id'], { env })).toMatchObject({ code: 0 })
    expect(
      await runInProcess(['config', 'set', 'support', 'pylonEvents=["issue_new"]', '-o', 'id'], { env }),
    ).toMatchObject({
      code: 0,
    })
    expect(await runInProcess(['list', '--inactive', '--fields', 'id,config,version'], { env })).toEqual({
      code: 0,
      stdout: 'IRFa-VaY2b_6KKrd\t{"pylonEvents":["issue_new"]}\t4\n',
      stderr: '',
    })
    expect(
      await run(
        [
          'add',
          '--platform',
          'pylon',
          '--workspace',
          'Acme',
          '--name',
          'second',
          '--webhook-secret-env',
          'SECRET',
          '-o',
          'id',
        ],
        { env },
      ),
    ).toMatchObject({ code: 0 })
    expect(
      await db.query(
        'SELECT name, webhook_secret, access_token, pylon_account_id, notes, retries FROM integrations ORDER BY name',
      ),
    ).toEqual([
      {
        name: 'second',
        webhook_secret: 'new-webhook-secret',
        access_token: null,
        pylon_account_id: null,
        notes: null,
        retries: 0,
      },
      {
        name: 'support',
        webhook_secret: 'new-webhook-secret',
        access_token: 'old-access-token',
        pylon_account_id: 'acc_1',
        notes: 'keep me',
        retries: 0,
      },
    ])
  })

  test('says what changes for the application, and that is so', async () => {
    const configs = [
      `{"pylonEvents": ["issue_new"], "slackEvents": "all"}`,
      `{"pylonEvents": [], "slackChannels": [{"id": "C1", "name": "a"}]}`,
      kind === 'sqlite' ? 'no JSON' : '[]',
    ].map(
      (config, i) =>
        `INSERT INTO integrations (id, workspace_id, platform, name, config) VALUES ('i${i}', 'V1StGXR8_Z5jdHi6B-myT', 'pylon', 'i${i}', '${config}');`,
    )
    const db = await database(kind, application[kind], rows, 'DELETE FROM agents;', ...configs)
    const env = { DATABASE_URL: db.url }
    const choices =
      '  endpoints that use the receiver handle only the events that configs choose: slackChannels of 1 integration, pylonEvents of 2 integrations\n'
    const dry = await run(['db', 'adopt', '--dry-run', '-o', 'id'], { env })
    expect(dry.stderr.startsWith(`${effects[kind]}${choices}would adopt `)).toBe(true)
    const { stderr } = await run(['db', 'adopt', '-o', 'id'], { env })
    expect(stderr.startsWith(`${effects[kind]}${choices}${keysWereThere()}adopted `)).toBe(true)

    await run(['disable', 'support'], { env })
    const ours = () => db.query('SELECT version FROM integration_versions')
    expect((await ours()).length).toBe(1)
    await db.query('DROP TABLE agents')
    if (kind === 'postgresql') {
      await expect(db.query('TRUNCATE integrations')).rejects.toMatchObject({ code: '0A000' })
      await expect(db.query('DROP TABLE integrations')).rejects.toMatchObject({ code: '2BP01' })
      await db.query('DELETE FROM integrations')
    } else {
      // The driver has foreign keys on, as an application may.
      expect(await db.query('PRAGMA foreign_keys')).toEqual([{ foreign_keys: 1 }])
      expect(await journal(db)).toEqual([{ journal_mode: 'wal' }])
      await db.query('DROP TABLE integrations')
    }
    expect(await ours()).toEqual([])
  })

  test('leaves workspaces and users to the application', async () => {
    const db = await database(kind, application[kind], rows)
    const env = { DATABASE_URL: db.url }
    await runInProcess(['db', 'adopt'], { env })
    const before = await own(db)
    const refused = (table: string) => ({
      code: 4,
      stdout: '',
      stderr: `error: the application owns the ${table} of this database\nhint: change ${table} in the application\n`,
    })
    for (const args of [
      ['add', 'Bolt'],
      ['rename', 'Acme', 'Bolt'],
      ['remove', 'Acme', '--confirm', 'Acme'],
    ])
      expect(await run(['workspaces', ...args], { env })).toEqual(refused('workspaces'))
    for (const args of [
      ['add', 'bo@example.com'],
      ['remove', 'ana@example.com', '--confirm', 'ana@example.com'],
    ])
      expect(await runInProcess(['users', ...args], { env })).toEqual(refused('users'))
    expect(await own(db)).toEqual(before)
  })

  test('tells every difference at once, and changes nothing', async () => {
    const names =
      kind === 'sqlite'
        ? { text: 'TEXT', timestamp: 'DATETIME', given: 'integer', shown: 'INTEGER', number: 'integer', tooShort: [] }
        : {
            text: 'text',
            timestamp: 'timestamp without time zone',
            given: 'date',
            shown: 'date',
            number: 'integer',
            tooShort: [
              'the type of integrations.access_token is character varying(255), which is too short: at least 1024 characters',
            ],
          }
    const time = kind === 'sqlite' ? 'datetime' : 'timestamp'
    const db = await database(
      kind,
      `CREATE TABLE workspaces (id text NOT NULL UNIQUE, name ${names.number} NOT NULL, created_at ${names.given} NOT NULL, updated_at ${time});
       CREATE TABLE users (id text PRIMARY KEY NOT NULL, email text NOT NULL, created_at ${time} NOT NULL, updated_at ${time} NOT NULL);
       CREATE UNIQUE INDEX one_email ON users (lower(email));
       CREATE UNIQUE INDEX some_email ON users (email) WHERE id <> '';
       CREATE TABLE integrations (id text PRIMARY KEY NOT NULL, workspace_id text NOT NULL, platform text NOT NULL, name text NOT NULL, webhook_secret text, access_token varchar(255),
         refresh_token text, token_expires_at ${time}, slack_team_id text DEFAULT 'T0', slack_team_name text, slack_bot_user_id text, pylon_account_id text, is_active boolean DEFAULT false NOT NULL,
         config jsonb, last_used_at ${time}, created_at ${time} NOT NULL, created_by text REFERENCES users (id) ON UPDATE CASCADE, region text NOT NULL);
       CREATE TABLE integration_settings (id text);`,
    )
    const before = [await tables(db), await journal(db)]
    const places = [
      'the primary key of workspaces is none, not id',
      `the type of workspaces.name is ${kind === 'sqlite' ? 'INTEGER' : 'integer'}, not ${names.text}`,
      `the type of workspaces.created_at is ${names.shown}, not ${names.timestamp}`,
      'workspaces.updated_at may be null',
      'the column users.name is missing',
      'users.email is not unique',
      'integrations.workspace_id references nothing, not workspaces.id',
      ...names.tooShort,
      `the default of integrations.slack_team_id is 'T0'${kind === 'sqlite' ? '' : '::text'}, not none`,
      'integrations.region, which this program does not know, is not null and has no default',
      'the table integration_settings, which this program would make, exists already',
    ]
    expect(await run(['db', 'adopt'], { env: { DATABASE_URL: db.url } })).toEqual({
      code: 6,
      stdout: '',
      stderr: `error: ${shown(db)} differs in ${places.length} places from what this program can share: ${places.map((place, i) => `(${i + 1}) ${place}`).join('; ')}
hint: change the application's tables, then integrations db adopt${flag(db)}; or give this program a database of its own\n`,
    })
    expect([await tables(db), await journal(db)]).toEqual(before)
  })

  test.runIf(kind === 'postgresql')('takes domains and citext, and warns of what only a trigger can fill', async () => {
    const db = await database(
      kind,
      `CREATE EXTENSION citext; CREATE DOMAIN label AS text CHECK (value <> '');
       ${application.postgresql.replaceAll('"email" text', '"email" citext').replaceAll('"name" text', '"name" label').replaceAll('"slack_team_name" text', '"slack_team_name" citext')}
       ALTER TABLE integrations ADD COLUMN region text NOT NULL;
       CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.region := 'eu'; RETURN NEW; END $$;
       CREATE TRIGGER fill BEFORE INSERT ON integrations FOR EACH ROW EXECUTE FUNCTION fill();`,
      rows,
    )
    const env = { DATABASE_URL: db.url }
    const warning =
      'warning: integrations.region, which this program does not know, is not null and has no default: an integration is added only if a trigger fills the column\n'
    for (const [args, done] of [
      [['--dry-run'], 'would adopt'],
      [[], `${keysWereThere()}adopted`],
    ] as const)
      expect(await run(['db', 'adopt', ...args, '-o', 'id'], { env })).toEqual({
        code: 0,
        stdout: `${shown(db)}\n`,
        stderr: `${effects.postgresql}${done} ${shown(db)}: the application still owns workspaces, users and integrations\n${exclusion('public.')}${indexes(db)}${warning}`,
      })
    expect(await run(['list', '--fields', 'workspace,name,createdBy'], { env })).toEqual({
      code: 0,
      stdout: 'Acme\tsupport\tcjld2cjxh0000qzrmn831i7rn\n',
      stderr: '',
    })
  })

  test('workspace and name stand for one integration to the byte, where names are compared without case', async () => {
    const nocase = kind === 'sqlite' ? 'text COLLATE NOCASE' : 'citext'
    const tables = application[kind].replaceAll(/("?name"?) text NOT NULL/g, `$1 ${nocase} NOT NULL`)
    const extension = kind === 'sqlite' ? [] : ['CREATE EXTENSION citext;']
    const db = await database(kind, ...extension, tables, rows)
    await db.query(
      "INSERT INTO integrations (id, workspace_id, platform, name) SELECT 'second-one', workspace_id, 'slack', 'Support' FROM integrations",
    )
    const env = { DATABASE_URL: db.url }
    expect(await run(['db', 'adopt'], { env })).toMatchObject({ code: 0 })
    const show = (ref: string) => run(['show', ref, '--fields', 'name'], { env })
    for (const created of [false, true]) {
      if (created) expect(await run(['db', 'index', '--create'], { env })).toMatchObject({ code: 0 })
      expect(await show('Acme/Support')).toEqual({ code: 0, stdout: 'Support\n', stderr: '' })
      expect(await show('Acme/support')).toEqual({ code: 0, stdout: 'support\n', stderr: '' })
      expect(await show('acme/support')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('several integrations'),
      })
      expect(await show('SUPPORT')).toMatchObject({ code: 2, stderr: expect.stringContaining('several integrations') })
    }
  })

  test("lives beside an application's own Prisma migrations", async () => {
    const prisma =
      kind === 'sqlite'
        ? `CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at" DATETIME, "migration_name" TEXT NOT NULL, "logs" TEXT,
             "rolled_back_at" DATETIME, "started_at" DATETIME NOT NULL DEFAULT current_timestamp, "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);
           INSERT INTO _prisma_migrations VALUES ('p1', 'c1', 1767225600000, '20260101000000_init', NULL, NULL, 1767225600000, 1), ('p2', 'c2', 1767225600000, '20260102000000_agents', NULL, NULL, 1767225600000, 1);`
        : `CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL, logs TEXT,
             rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0);
           INSERT INTO _prisma_migrations VALUES ('p1', 'c1', '2026-01-01', '20260101000000_init', NULL, NULL, '2026-01-01', 1), ('p2', 'c2', '2026-01-01', '20260102000000_agents', NULL, NULL, '2026-01-01', 1);`
    const db = await database(kind, application[kind], prisma, rows)
    const env = { DATABASE_URL: db.url }
    const theirs = `SELECT * FROM _prisma_migrations WHERE id LIKE 'p_' ORDER BY id`
    const before = await db.query(theirs)
    const { code, stderr } = await run(['db', 'adopt'], { env })
    expect(code).toBe(0)
    expect(stderr.split('\n').filter((line) => line.startsWith('warning:'))).toEqual([
      `warning: _prisma_migrations holds 2 of the application's own migrations beside ours: its "prisma migrate dev" will miss ours in its folder and ask to reset the database, which deletes everything in it; "prisma migrate deploy" goes on working`,
    ])
    expect(await db.query(theirs)).toEqual(before)
    expect(await run(['db', 'status', '--fields', 'state,adopted,migrationsUnknown,integrations'], { env })).toEqual({
      code: 0,
      stdout: 'ready\ttrue\t["20260101000000_init","20260102000000_agents"]\t1\n',
      stderr: indexes(db),
    })
  })

  test.each(['init', 'db adopt'])(
    '%s refuses views that take no changes, and makes nothing beside them',
    async (command) => {
      const views = ['workspaces', 'users', 'integrations'].map(
        (name) =>
          `ALTER TABLE ${name} RENAME TO app_${name}; CREATE VIEW ${name} AS SELECT DISTINCT * FROM app_${name};`,
      )
      const db = await database(kind, application[kind], rows, ...views)
      if (kind === 'postgresql') {
        // The tables may be those of another schema.
        await db.query('CREATE SCHEMA other')
        for (const name of ['workspaces', 'users', 'integrations', 'agents'])
          await db.query(`ALTER TABLE ${name === 'agents' ? name : `app_${name}`} SET SCHEMA other`)
      }
      const before = await tables(db)
      // On PostgreSQL, what is only read may be a view.
      const readOnly = kind === 'sqlite' ? ['workspaces is a view, not a table', 'users is a view, not a table'] : []
      const differences = [...readOnly, 'integrations is a view that takes no changes'].map(
        (difference, i) => `(${i + 1}) ${difference}`,
      )
      const places = kind === 'sqlite' ? '3 places' : '1 place'
      expect(await run(command.split(' '), { env: { DATABASE_URL: db.url } })).toEqual({
        code: 6,
        stdout: '',
        stderr:
          command === 'init'
            ? `error: ${shown(db)} has tables that this program did not make\nhint: integrations db adopt${flag(db)}\n`
            : `error: ${shown(db)} differs in ${places} from what this program can share: ${differences.join('; ')}\nhint: change the application's tables, then integrations db adopt${flag(db)}; or give this program a database of its own\n`,
      })
      expect(await tables(db)).toEqual(before)
    },
  )

  test('looks at the key set before anything is changed', async () => {
    const db = await database(kind, application[kind], rows)
    const before = [await tables(db), await journal(db)]
    const INTEGRATIONS_KEYS_FILE = join(freshFolder(), 'keys.json')
    writeFileSync(INTEGRATIONS_KEYS_FILE, 'no key set', { mode: 0o600 })
    for (const keys of [{ INTEGRATIONS_KEYS_FILE }, { INTEGRATIONS_KEYS_COMMAND: 'echo \'{"keys":[]}\'' }]) {
      const { code, stdout } = await run(['db', 'adopt'], { env: { DATABASE_URL: db.url, ...keys } })
      expect([code, stdout, await tables(db), await journal(db)]).toEqual([4, '', ...before])
    }
  })

  test('has nothing to do where the database is its own', async () => {
    const db = kind === 'sqlite' ? sqliteDatabase(join(freshFolder(), 'own.db')) : await emptyPostgresql()
    const env = { DATABASE_URL: db.url }
    await runInProcess(['init'], { env })
    expect(await run(['db', 'adopt', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `${shown(db)} is already this program's own\n`,
    })
    expect(await db.query(`SELECT value FROM integration_settings WHERE key = 'database'`)).toEqual([{ value: 'own' }])
  })

  test('takes what the first migration makes', async () => {
    const db = kind === 'sqlite' ? sqliteDatabase(join(freshFolder(), 'first.db')) : await emptyPostgresql()
    const env = { DATABASE_URL: db.url }
    await runInProcess(['init'], { env })
    await dropOwnTables(db)
    await db.query('DROP TABLE _prisma_migrations')
    expect(await run(['db', 'adopt', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stdout: `${shown(db)}\n`,
    })
  })
})
