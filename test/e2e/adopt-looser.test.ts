import { describe, expect, onTestFinished, test } from 'vitest'
import { createReceiver } from '../../src/receiver/receiver.ts'
import { application, database } from '../support/application.ts'
import { type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { testKeyFile } from '../support/keyring.ts'
import { brief } from '../support/receiver.ts'
import { botToken, signingSecret } from '../support/samples.ts'
import { fromSlack, message, slackEvent } from '../support/webhooks.ts'

/** An application's tables of every other type that works, with rules and defaults of its own. */
const looser: Record<Kind, string> = {
  postgresql: `
    CREATE TYPE platform AS ENUM ('linear', 'slack', 'pylon', 'github');
    CREATE TABLE workspaces (id varchar(21) PRIMARY KEY, name varchar(30) NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz(3) NOT NULL);
    CREATE TABLE users (id varchar PRIMARY KEY, email varchar(320) NOT NULL UNIQUE, name varchar(30), created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL);
    CREATE TABLE integrations (id varchar(36) PRIMARY KEY DEFAULT gen_random_uuid(), workspace_id varchar(21) NOT NULL REFERENCES workspaces ON DELETE RESTRICT ON UPDATE CASCADE,
      platform platform NOT NULL DEFAULT 'linear', name varchar(50) NOT NULL DEFAULT 'new', webhook_secret varchar(255), access_token varchar(1024), refresh_token varchar(2048),
      token_expires_at timestamptz(0), slack_team_id varchar(20), slack_team_name varchar(50), slack_bot_user_id varchar(20), pylon_account_id varchar(36),
      is_active boolean NOT NULL DEFAULT false, config jsonb NOT NULL DEFAULT '{}', last_used_at timestamptz, created_at timestamptz(6) NOT NULL,
      created_by varchar REFERENCES users ON UPDATE CASCADE, tags text[] NOT NULL DEFAULT '{}');`,
  sqlite: `
    CREATE TABLE workspaces (id varchar(21) PRIMARY KEY NOT NULL, name varchar(30) NOT NULL, created_at timestamp NOT NULL, updated_at text NOT NULL);
    CREATE TABLE users (id text PRIMARY KEY NOT NULL, email varchar(320) NOT NULL UNIQUE, name nchar(55), created_at timestamp NOT NULL, updated_at date NOT NULL);
    CREATE TABLE integrations (id char(36) PRIMARY KEY NOT NULL, workspace_id varchar(21) NOT NULL REFERENCES workspaces ON DELETE RESTRICT ON UPDATE CASCADE,
      platform varchar(10) NOT NULL DEFAULT 'linear', name clob NOT NULL DEFAULT 'new', webhook_secret varchar(255), access_token blob, refresh_token,
      token_expires_at timestamp, slack_team_id varchar(20), slack_team_name varchar(50), slack_bot_user_id varchar(20), pylon_account_id varchar(36),
      is_active integer NOT NULL DEFAULT 0, config text, last_used_at text, created_at timestamp NOT NULL,
      created_by text REFERENCES users ON UPDATE CASCADE, tags text NOT NULL DEFAULT '[]');`,
}

const theirs = `
  INSERT INTO workspaces VALUES ('V1StGXR8_Z5jdHi6B-myT', 'Acme', '2026-01-02 03:04:05+00', '2026-01-02 03:04:05+00');
  INSERT INTO users VALUES ('cjld2cjxh0000qzrmn831i7rn', 'ana@example.com', 'Ana', '2026-01-02 03:04:05+00', '2026-01-02 03:04:05+00');
  INSERT INTO integrations (id, workspace_id, platform, name, is_active, created_at, token_expires_at)
    VALUES ('IRFa-VaY2b_6KKrd', 'V1StGXR8_Z5jdHi6B-myT', 'linear', 'tasks', true, '2026-01-02 03:04:05+00', '2030-01-02 03:04:05+00');`

const flag = (db: TestDatabase) => (db.kind === 'sqlite' ? ` --database ${db.url}` : '')
const shown = (db: TestDatabase) => db.url.replace(/:[^:@/]*@/, '@')

describe.each(kinds)('columns of other types on %s', (kind) => {
  const run = runInProcess

  test('an expiry is news when the column does not hold it already, as precisely as it can', async () => {
    const db = await database(kind, looser[kind], kind === 'sqlite' ? theirs.replaceAll('+00', '') : theirs)
    const env = { DATABASE_URL: db.url, TOKEN: botToken() }
    expect(await run(['db', 'adopt'], { env })).toMatchObject({ code: 0 })
    const command = {
      add: ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support', '--upsert', '--grace', '0'],
      rotate: ['rotate', 'support', '--grace', '0'],
    }
    const set = async (which: keyof typeof command, expiry: string) => {
      const args = [...command[which], '--access-token-env', 'TOKEN', '--expires-at', expiry, '-o', 'json']
      const { stdout } = await run([...args, '--fields', 'outcome,tokenExpiresAt,version'], { env })
      return Object.values(JSON.parse(stdout))
    }
    const exact = (fraction: string) => `2031-01-02T03:04:05.${kind === 'sqlite' ? fraction : '000'}Z`
    expect([
      await set('add', '2031-01-02T03:04:05.400Z'),
      await set('rotate', '2031-01-02T03:04:05.400Z'),
      await set('add', '2031-01-02T03:04:05.400Z'),
      await set('rotate', '2031-01-02T03:04:05.300Z'),
      await set('rotate', '2031-01-02T03:04:06.000Z'),
    ]).toEqual([
      ['changed', exact('400'), 1],
      ['unchanged', exact('400'), 1],
      ['unchanged', exact('400'), 1],
      kind === 'sqlite' ? ['changed', exact('300'), 2] : ['unchanged', exact('000'), 1],
      ['changed', '2031-01-02T03:04:06.000Z', kind === 'sqlite' ? 3 : 2],
    ])
    expect(await run(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
  })

  test('work in the whole main job, whatever the time zone of the database', async () => {
    const db = await database(kind, looser[kind], kind === 'sqlite' ? theirs.replaceAll('+00', '') : theirs)
    if (kind === 'postgresql')
      await db.query(`ALTER DATABASE ${new URL(db.url).pathname.slice(1)} SET timezone = 'America/New_York'`)
    const env = { DATABASE_URL: db.url, SLACK_TOKEN: botToken() }
    const does = async (args: string[], input?: string) => {
      const { code, stdout, stderr } = await run(args, { env, ...(input === undefined ? {} : { input }) })
      expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
      return stdout
    }
    await does(['db', 'adopt'])
    expect(await does(['db', 'status', '--fields', 'state,differences,integrations'])).toBe('ready\t[]\t1\n')

    const expires = new Date(Date.now() + 90 * 86_400_000)
    expires.setMilliseconds(0)
    const add = [
      ...['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support', '--created-by', 'ana@example.com'],
      ...['--slack-team-id', 'T012AB3CD', '--webhook-secret-stdin', '--access-token-env', 'SLACK_TOKEN'],
      ...['--expires-at', expires.toISOString(), '--config', '{"slackEvents":["message"]}', '-o', 'id'],
    ]
    const id = (await does(add, signingSecret(1))).trim()
    await does(['rotate', 'support', '--webhook-secret-stdin', '--grace', '1h'], signingSecret(2))

    // What endpoints do with both secrets, and what they write.
    const errors: unknown[] = []
    const receiver = await createReceiver({
      database: db.url,
      keys: { file: testKeyFile() },
      remember: 0,
      onError: (error) => errors.push(error),
    })
    onTestFinished(receiver.close)
    const before = Date.now()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual(['support', 'message', 1, 'previous'])
    expect(brief(await receiver.slack(fromSlack(signingSecret(2))))).toEqual(['support', 'message', 2, 'current'])
    const other = slackEvent({ ...message, type: 'reaction_added' })
    expect(brief(await receiver.slack(fromSlack(signingSecret(2), other)))).toEqual([200, 'event'])
    await receiver.close()
    expect(errors).toEqual([])

    const shownNow = JSON.parse(await does(['show', 'Acme/support', '-o', 'json']))
    expect({ ...shownNow, lastUsedAt: Date.parse(shownNow.lastUsedAt) - before < 60_000 }).toMatchObject({
      id,
      createdBy: 'cjld2cjxh0000qzrmn831i7rn',
      isActive: true,
      tokenExpiresAt: expires.toISOString(),
      lastUsedAt: true,
      config: { slackEvents: ['message'] },
    })
    expect(Date.parse(shownNow.lastUsedAt) >= before - 1000).toBe(true)

    const listed = async (...filters: string[]) =>
      (await does(['list', '--fields', 'name', ...filters])).trim().split('\n')
    expect(await listed()).toEqual(['support', 'tasks'])
    expect(await listed('--platform', 'slack')).toEqual(['support'])
    expect(await listed('--platform', 'github')).toEqual([''])
    expect(await listed('--active')).toEqual(['support', 'tasks'])
    expect(await listed('--sort', 'platform')).toEqual(['tasks', 'support'])
    expect(await listed('--never-used')).toEqual(['tasks'])
    expect(await listed('--sort', 'createdAt', '--limit', '1')).toEqual(['tasks'])
    expect(await does(['show', 'tasks', '--fields', 'platform,createdAt,tokenExpiresAt'])).toBe(
      'linear\t2026-01-02T03:04:05.000Z\t2030-01-02T03:04:05.000Z\n',
    )
    expect(await does(['show', 'acme/SUPPORT@slack', '--fields', 'name'])).toBe('support\n')
    expect((await does(['workspaces', 'list', '--fields', 'name,createdAt'])).trim()).toBe(
      'Acme\t2026-01-02T03:04:05.000Z',
    )

    await does(['update', 'support', '--slack-team-name', 'Acme', '--created-by', 'cjld2cjxh0000qzrmn831i7rn'])
    await does(['disable', 'support'])
    await does(['enable', 'support'])
    await does(['config', 'set', 'support', 'slackOtherBots=true'])
    await does(['config', 'patch', 'support'], 'null')
    expect(await db.query('SELECT config FROM integrations WHERE id = ?', id)).toEqual([
      { config: kind === 'sqlite' ? null : {} },
    ])
    await does(['config', 'history', 'support'])
    await does(['secrets', 'list', 'support'])
    await does(['secrets', 'finish', 'support', 'webhook-secret', '--force'])

    // Encrypted and back, within the lengths of the columns.
    await does(['keys', 'mode', 'migrating', '--confirm', 'migrating'])
    await does(['keys', 'reencrypt'])
    await does(['keys', 'mode', 'required', '--confirm', 'required'])
    expect(await does(['secrets', 'reveal', 'support', 'access-token'])).toBe(`${botToken()}\n`)
    await does(['keys', 'mode', 'migrating'])
    await does(['keys', 'mode', 'off'])
    await does(['keys', 'reencrypt', '--decrypt'])
    expect(await db.query('SELECT webhook_secret FROM integrations WHERE id = ?', id)).toEqual([
      { webhook_secret: signingSecret(2) },
    ])

    expect(JSON.parse(await does(['audit', 'verify', '-o', 'json']))).toMatchObject({
      ok: true,
      changedByApplication: [],
    })
    await does(['db', 'index', '--create'])
    expect(await listed('--platform', 'slack', '--name', 'support')).toEqual(['support'])
    await does(['remove', 'support', '--confirm', 'support'])
    expect(await listed()).toEqual(['tasks'])
    expect(JSON.parse(await does(['audit', 'verify', '-o', 'json']))).toMatchObject({ ok: true })
    expect(await db.query('SELECT platform, is_active, name FROM integrations')).toEqual([
      { platform: 'linear', is_active: kind === 'sqlite' ? 1 : true, name: 'tasks' },
    ])
  })
  const refused: Record<Kind, readonly [from: string | RegExp, to: string, ...differences: string[]][]> = {
    postgresql: [
      [
        /"(id|workspace_id|created_by)" text/g,
        '"$1" uuid',
        ...['workspaces.id', 'users.id', 'integrations.id', 'integrations.workspace_id', 'integrations.created_by'].map(
          (column) => `the type of ${column} is uuid, not text`,
        ),
      ],
      [
        '"name" text NOT NULL, "notes"',
        '"name" char(80) NOT NULL, "notes"',
        'the type of integrations.name is character(80), not text',
      ],
      [
        '"access_token" text',
        '"access_token" varchar(255)',
        'the type of integrations.access_token is character varying(255), which is too short: at least 1024 characters',
      ],
      [
        '"platform" text',
        '"platform" stage',
        'the type of integrations.platform is stage, which lacks the values slack, pylon, github',
      ],
      [
        '"name" text NOT NULL, "notes"',
        '"name" stage NOT NULL, "notes"',
        'the type of integrations.name is stage, not text',
      ],
      [
        '"last_used_at" timestamp',
        '"last_used_at" date',
        'the type of integrations.last_used_at is date, not timestamp without time zone',
      ],
      ['"config" jsonb', '"config" json', 'the type of integrations.config is json, not jsonb'],
      ['"config" jsonb', '"config" jsonb NOT NULL', 'integrations.config may not be null'],
      [
        '"is_active" boolean DEFAULT true',
        '"is_active" integer DEFAULT 1',
        'the type of integrations.is_active is integer, not boolean',
      ],
      [
        '"slack_team_id" text',
        `"slack_team_id" text DEFAULT '' NOT NULL`,
        'integrations.slack_team_id may not be null',
        "the default of integrations.slack_team_id is ''::text, not none",
      ],
      [
        'FOREIGN KEY ("created_by") REFERENCES "public"."users"("id")',
        'FOREIGN KEY ("created_by") REFERENCES "public"."users"("email")',
        'integrations.created_by references users.email, not users.id',
      ],
    ],
    sqlite: [
      [
        'name text NOT NULL, notes',
        'name integer NOT NULL, notes',
        'the type of integrations.name is INTEGER, not TEXT',
      ],
      [
        'last_used_at datetime',
        'last_used_at integer',
        'the type of integrations.last_used_at is INTEGER, not DATETIME',
      ],
      ['is_active boolean', 'is_active text', 'the type of integrations.is_active is TEXT, not BOOLEAN'],
      ['config jsonb', 'config blob', 'the type of integrations.config is BLOB, not JSONB'],
      ['config jsonb', `config jsonb DEFAULT '{}' NOT NULL`, 'integrations.config may not be null'],
    ],
  }

  test.each(refused[kind])('%s as %s is refused', async (from, to, ...differences) => {
    const tables = application[kind].replaceAll(from, to)
    expect(tables).not.toBe(application[kind])
    const stage = kind === 'sqlite' ? [] : ["CREATE TYPE stage AS ENUM ('draft');"]
    // What refers to the ids of another type needs the type, too.
    const db = await database(kind, ...stage, tables.replace(/CREATE TABLE "?agents[^;]*;/, ''))
    const where = `${shown(db)} differs in ${differences.length} place${differences.length === 1 ? '' : 's'} from what this program can share`
    expect(await run(['db', 'adopt'], { env: { DATABASE_URL: db.url } })).toEqual({
      code: 6,
      stdout: '',
      stderr: `error: ${where}: ${differences.map((text, i) => `(${i + 1}) ${text}`).join('; ')}\nhint: change the application's tables, then integrations db adopt${flag(db)}; or give this program a database of its own\n`,
    })
  })

  test.runIf(kind === 'postgresql')(
    'a value that is too long for its column is refused, and nothing is changed',
    async () => {
      const db = await database(kind, looser[kind], theirs)
      const env = { DATABASE_URL: db.url }
      await run(['db', 'adopt'], { env })
      const add = [
        'add',
        '--platform',
        'pylon',
        '--workspace',
        'Acme',
        '--webhook-secret-stdin',
        '--name',
        'n'.repeat(51),
      ]
      expect(await run(add, { env, input: signingSecret() })).toEqual({
        code: 2,
        stdout: '',
        stderr: `error: a value is longer than its column in ${shown(db)} allows (22001)\nhint: shorten the value, or widen the column in the application\n`,
      })
      expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'tasks' }])
    },
  )
})
