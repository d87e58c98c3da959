import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { describe, expect, test } from 'vitest'
import {
  contents,
  dropOwnTables,
  emptyPostgresql,
  freshDatabase,
  journal,
  type Kind,
  kinds,
  ownTables,
  sqliteDatabase,
  type TestDatabase,
} from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { keysWereThere } from '../support/keyring.ts'
import { bin, freshFolder, type Outcome, type RunOptions, runCommand, runProgram } from '../support/program.ts'
import { notes } from '../support/told.ts'

const migrations = readdirSync('prisma/migrations/sqlite').filter((name) => /^\d{14}_integrations__/.test(name))
const [first = '', ...rest] = migrations

/** A database's URL as the program shows it. */
const shown = (db: TestDatabase) => db.url.replace(/:[^:@/]*@/, '@')

/** What the program says to type for a database. */
const flag = (db: TestDatabase) => (db.kind === 'sqlite' ? ` --database ${db.url}` : '')

const refusal = (code: number, message: string, hint: string): Outcome => ({
  code,
  stdout: '',
  stderr: `error: ${message}\nhint: ${hint}\n`,
})

/** Another address of a database. */
function at(db: TestDatabase, change: (url: URL) => void): string {
  const url = new URL(db.url)
  change(url)
  return url.href
}

async function script(db: TestDatabase, statements: string): Promise<void> {
  if (db.kind === 'postgresql') return void (await db.query(statements))
  const client = createClient({ url: db.url })
  await client.executeMultiple(statements)
  client.close()
}

/** What takes a schema back to what the first migration made. */
const dropOwn = `${ownTables.map((table) => `DROP TABLE ${table}`).join('; ')}; DROP FUNCTION integration_events_append_only, integration_settings_guard`

/** A database as the first migration alone left it. */
async function behind(kind: Kind): Promise<TestDatabase> {
  const db = await freshDatabase(kind)
  await dropOwnTables(db)
  await db.query('DELETE FROM _prisma_migrations WHERE migration_name <> ?', first)
  return db
}

const history = (db: TestDatabase) => db.query('SELECT * FROM _prisma_migrations ORDER BY migration_name')

const status = async (db: TestDatabase) => {
  const { code, stdout, stderr } = await runInProcess(['db', 'status', '-o', 'json'], { env: { DATABASE_URL: db.url } })
  return { code, stderr, status: JSON.parse(stdout) }
}

const newer = '29990101000000_integrations__future'

describe.each(kinds)('db on %s', (kind) => {
  const run = runInProcess

  test('status tells where, what, and how many', async () => {
    const db = await freshDatabase(kind)
    await script(
      db,
      `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-01 00:00:00', '2026-01-01 00:00:00');
       INSERT INTO integrations (id, workspace_id, platform, name, is_active) VALUES ('a', 'w', 'slack', 'a', true), ('b', 'w', 'slack', 'b', NULL), ('c', 'w', 'pylon', 'c', false);`,
    )
    expect(await status(db)).toEqual({
      code: 0,
      stderr: '',
      status: {
        database: shown(db),
        provider: kind,
        version: expect.stringMatching(/^\d+\.\d+/),
        state: 'ready',
        adopted: false,
        migrationsApplied: migrations,
        migrationsPending: [],
        migrationsUnknown: [],
        differences: [],
        indexesMissing: [],
        workspaces: 1,
        users: 0,
        integrations: 3,
        activeIntegrations: 2,
        integrationsByPlatform: { pylon: 1, slack: 2 },
      },
    })
    expect(await run(['db', 'status', '-o', 'id'], { env: { DATABASE_URL: db.url } })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: '',
    })
    expect(
      await run(['db', 'status', '-o', 'csv', '--fields', 'state,integrationsByPlatform'], {
        env: { DATABASE_URL: db.url },
      }),
    ).toEqual({
      code: 0,
      stdout: 'state,integrationsByPlatform\nready,"{""pylon"":1,""slack"":2}"\n',
      stderr: '',
    })
  })

  test('one that is behind is refused until it is migrated, once', async () => {
    const db = await behind(kind)
    const env = { DATABASE_URL: db.url }
    const before = await history(db)
    const mayRefuse = 'those of the version before start no more, and from the next change on refuse previous secrets'
    const lacks = `${shown(db)} lacks ${rest.length} of this program's migrations`
    for (const args of [['list'], ['workspaces', 'add', 'Acme']])
      expect(await (args[0] === 'list' ? run : runInProcess)(args, { env })).toEqual(
        refusal(6, lacks, `integrations db migrate${flag(db)}`),
      )
    expect(await status(db)).toMatchObject({
      code: 0,
      stderr: notes(lacks, `hint: integrations db migrate${flag(db)}`),
      status: { state: 'outdated', migrationsApplied: [first], migrationsPending: rest, integrations: 0 },
    })
    expect(await run(['db', 'migrate', '--dry-run', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `would apply to ${shown(db)}: ${rest.join(', ')}\nupgrade the receivers directly afterwards: ${mayRefuse}\n`,
    })
    expect(await history(db)).toEqual(before)

    const migrated = await run(['db', 'migrate', '-o', 'id'], { env })
    expect(migrated).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `${keysWereThere()}applied to ${shown(db)}: ${rest.join(', ')}
upgrade the receivers now: ${mayRefuse}\n`,
    })
    const after = await history(db)
    expect(after.map((row) => row.migration_name)).toEqual(migrations)
    expect(await run(['db', 'migrate', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${shown(db)}\n`,
      stderr: `${shown(db)} is already up to date\n`,
    })
    expect(await history(db)).toEqual(after)
    expect(await runInProcess(['workspaces', 'add', 'Acme', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  })

  test('one that a newer version has changed is refused, and not touched', async () => {
    const db = await freshDatabase(kind)
    if (kind === 'sqlite') await db.query('PRAGMA journal_mode = DELETE')
    await db.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count) VALUES ('x', 'x', '${newer}', '2999-01-01 00:00:00', '2999-01-01 00:00:00', 1)`,
    )
    const before = [await history(db), await journal(db)]
    for (const args of [['list'], ['workspaces', 'add', 'Acme'], ['init'], ['db', 'migrate'], ['db', 'adopt']])
      expect(await (args[0] === 'list' ? run : runInProcess)(args, { env: { DATABASE_URL: db.url } })).toEqual(
        refusal(
          6,
          `a newer version of integrations has changed ${shown(db)}`,
          'upgrade the integrations command to a newer version',
        ),
      )
    expect(await status(db)).toMatchObject({
      code: 0,
      status: { state: 'newer', migrationsUnknown: [newer], workspaces: 0 },
    })
    expect([await history(db), await journal(db)]).toEqual(before)
    expect(await db.query('SELECT * FROM workspaces')).toEqual([])
  })

  test("one with somebody else's tables is refused by all but adopt", async () => {
    const db = kind === 'sqlite' ? sqliteDatabase(join(freshFolder(), 'other.db')) : await emptyPostgresql()
    await db.query('CREATE TABLE invoices (id INTEGER PRIMARY KEY)')
    const before = await journal(db)
    const message = `${shown(db)} has tables that this program did not make`
    for (const args of [['list'], ['init'], ['db', 'migrate']])
      expect(await (args[0] === 'list' ? run : runInProcess)(args, { env: { DATABASE_URL: db.url } })).toEqual(
        refusal(6, message, `integrations db adopt${flag(db)}`),
      )
    expect(await status(db)).toMatchObject({
      code: 0,
      stderr: notes(message, `hint: integrations db adopt${flag(db)}`),
      status: { state: 'unmanaged', workspaces: null, integrationsByPlatform: null },
    })
    await expect(history(db)).rejects.toThrow(/_prisma_migrations/)
    expect(await journal(db)).toEqual(before)
  })

  test('one that is empty is refused by all but init and migrate', async () => {
    const db = kind === 'sqlite' ? sqliteDatabase(join(freshFolder(), 'empty.db')) : await emptyPostgresql()
    if (kind === 'sqlite') writeFileSync(db.url.slice('file:'.length), '', { mode: 0o600 })
    for (const args of [['list'], ['db', 'adopt']])
      expect(await (args[0] === 'list' ? run : runInProcess)(args, { env: { DATABASE_URL: db.url } })).toEqual(
        refusal(6, `${shown(db)} is empty`, `integrations init${flag(db)}`),
      )
    expect(await status(db)).toMatchObject({ code: 0, status: { state: 'empty', migrationsPending: migrations } })
    expect(await run(['db', 'migrate', '-o', 'id'], { env: { DATABASE_URL: db.url } })).toMatchObject({
      code: 0,
      stdout: `${shown(db)}\n`,
    })
    expect(await status(db)).toMatchObject({ status: { state: 'ready' } })
  })
})

/** What an application may keep in the usual schema. */
const inPublic: readonly (readonly [what: string, make: () => Promise<TestDatabase>])[] = [
  ['an application', () => emptyPostgresql('CREATE TABLE orders (id int PRIMARY KEY)')],
  [
    'the history of an application that uses Prisma',
    () =>
      emptyPostgresql(
        `CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0);
         INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at) VALUES ('x', 'x', '20260101000000_failed', now())`,
      ),
  ],
  ['tables of this program', () => freshDatabase('postgresql')],
]

test.each(inPublic)('a schema of its own is made ready, migrated and adopted beside %s', async (_, make) => {
  const db = await make()
  const before = await contents(db)
  const inSchema = (schema: string) => ({ env: { DATABASE_URL: `${db.url}?schema=${schema}` } })
  const there = (schema: string) => db.query('SELECT tablename FROM pg_tables WHERE schemaname = ? ORDER BY 1', schema)
  const done = async (schema: string) =>
    db.query(`SELECT migration_name FROM "${schema}"._prisma_migrations ORDER BY 1`)
  await db.query('CREATE SCHEMA "Own"')
  expect(await runInProcess(['init', '-o', 'id'], inSchema('Own'))).toMatchObject({ code: 0 })
  const whole = await there('Own')
  expect([whole.length, await done('Own')]).toEqual([17, migrations.map((migration_name) => ({ migration_name }))])

  await db.query('ALTER SCHEMA "Own" RENAME TO behind')
  await db.query(
    `SET search_path = behind; ${dropOwn}; DELETE FROM _prisma_migrations WHERE migration_name <> '${first}'; RESET search_path`,
  )
  expect(await runInProcess(['db', 'migrate', '-o', 'id'], inSchema('behind'))).toMatchObject({ code: 0 })
  expect(await there('behind')).toEqual(whole)

  await db.query('ALTER SCHEMA behind RENAME TO application')
  await db.query(`SET search_path = application; ${dropOwn}; DROP TABLE _prisma_migrations; RESET search_path`)
  expect(await runInProcess(['db', 'adopt', '-o', 'id'], inSchema('application'))).toMatchObject({ code: 0 })
  expect(await there('application')).toEqual(whole)
  expect(await done('application')).toEqual(migrations.map((migration_name) => ({ migration_name })))
  expect(await runInProcess(['list'], inSchema('application'))).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await contents(db)).toEqual(before)
})

const everything = [
  ['list'],
  ['workspaces', 'add', 'Acme'],
  ['init'],
  ['db', 'status'],
  ['db', 'migrate'],
  ['db', 'adopt'],
]
const readingAndChanging = [['list'], ['workspaces', 'add', 'Acme']]

describe('an SQLite file that', () => {
  const refuses = async (file: string, outcome: Outcome, commands: string[][], options: RunOptions = {}) => {
    for (const args of commands) {
      // Another user is another process.
      const run = args === commands[0] || options.uid !== undefined ? runProgram : runInProcess
      expect(
        await run(args, {
          ...options,
          env: { DATABASE_URL: `file:${file}`, ...options.env },
        }),
      ).toEqual(outcome)
    }
  }
  const copy = async () => (await freshDatabase('sqlite')).url.slice('file:'.length)
  const root = process.getuid?.() === 0
  const canMount = spawnSync('unshare', ['-m', 'sh', '-c', 'mount --bind /tmp /tmp']).status === 0
  const nobody = 65534
  const nobodysKeys = () => {
    const file = join(freshFolder(), 'keys.json')
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
    chmodSync(join(file, '..'), 0o755)
    chownSync(file, nobody, nobody)
    return file
  }

  test('is not there is not made by mistake', async () => {
    const folder = freshFolder()
    const file = join(folder, "it's not there.db")
    const commands = everything.filter(([verb]) => verb !== 'init')
    await refuses(
      file,
      refusal(6, `there is no file ${file}`, `integrations init --database 'file:${file.replace("'", `'\\''`)}'`),
      commands,
    )
    expect(readdirSync(folder)).toEqual([])
  })

  test('is the default one, and not there, is not made by looking at it', async () => {
    const HOME = freshFolder()
    const outcome = refusal(
      6,
      `there is no file ${HOME}/.local/share/integrations/integrations.db`,
      'integrations init',
    )
    for (const args of [
      ['db', 'status'],
      ['db', 'migrate'],
      ['db', 'adopt'],
    ])
      expect(await runInProcess(args, { env: { HOME } })).toEqual(outcome)
    expect(readdirSync(HOME)).toEqual([])
  })

  test('is garbage stays as it is', async () => {
    const file = join(freshFolder(), 'garbage.db')
    writeFileSync(file, 'no database, only text\n'.repeat(1000))
    const before = readFileSync(file)
    await refuses(
      file,
      refusal(
        6,
        `file:${file} is not a usable SQLite database`,
        'name another file with --database, or restore this one from a backup',
      ),
      everything,
    )
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test('is cut off stays as it is', async () => {
    const file = join(freshFolder(), 'half.db')
    writeFileSync(file, readFileSync(await copy()).subarray(0, 8192))
    const before = readFileSync(file)
    await refuses(
      file,
      refusal(
        6,
        `file:${file} is damaged, or its disk cannot be read`,
        'look for errors of the disk with dmesg, and restore the database from a backup',
      ),
      everything,
    )
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test('is a folder', async () => {
    const folder = freshFolder()
    await refuses(
      folder,
      refusal(
        6,
        `file:${folder} cannot be opened`,
        'check that it is a file, and that you may read and write it and its folder',
      ),
      everything,
    )
    expect(readdirSync(folder)).toEqual([])
  })

  test('is in a file', async () => {
    const file = join(await copy(), 'integrations.db')
    await refuses(
      file,
      refusal(
        6,
        `file:${file} cannot be opened`,
        'check that it is a file, and that you may read and write it and its folder',
      ),
      [['init']],
    )
  })

  test.runIf(root)("another user's to read can be read, and not changed", async () => {
    const file = join(freshFolder(), 'integrations.db')
    copyFileSync(await copy(), file)
    chmodSync(join(file, '..'), 0o1777)
    chmodSync(file, 0o444)
    const env = { DATABASE_URL: `file:${file}` }
    const before = readFileSync(file)
    expect(await runProgram(['list'], { env, uid: nobody })).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await runProgram(['db', 'status', '--fields', 'state'], { env, uid: nobody })).toEqual({
      code: 0,
      stdout: 'ready\n',
      stderr: '',
    })
    await refuses(
      file,
      refusal(
        6,
        `file:${file} or its folder may not be written to`,
        'give yourself write permission on the file and on its folder, which SQLite needs for reading too',
      ),
      [['workspaces', 'add', 'Acme']],
      { uid: nobody, env: { INTEGRATIONS_KEYS_FILE: nobodysKeys() } },
    )
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test.runIf(canMount)('on a disk that is mounted read-only is refused for that', async () => {
    const folder = freshFolder()
    const file = join(folder, 'integrations.db')
    copyFileSync(await copy(), file)
    chmodSync(file, 0o600)
    const readOnly = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    for (const args of [['list'], ['workspaces', 'add', 'Acme'], ['init', '--database', `file:${folder}/new.db`]])
      expect(
        await runCommand('unshare', ['-m', 'sh', '-c', readOnly, folder, process.execPath, bin, ...args], {
          env: { DATABASE_URL: `file:${file}` },
        }),
      ).toEqual(
        refusal(
          6,
          `file:${args[0] === 'init' ? `${folder}/new.db` : file} is on a file system that is mounted read-only`,
          'mount the file system for writing: SQLite writes beside the file for reading too',
        ),
      )
  })

  test.runIf(root)("in another user's folder can not even be read, for want of a log", async () => {
    const folder = join(freshFolder(), 'shared')
    mkdirSync(folder)
    chmodSync(join(folder, '..'), 0o755)
    const file = join(folder, 'integrations.db')
    copyFileSync(await copy(), file)
    chmodSync(file, 0o666)
    await refuses(
      file,
      refusal(
        6,
        `file:${file} or its folder may not be written to`,
        'give yourself write permission on the file and on its folder, which SQLite needs for reading too',
      ),
      everything,
      { uid: nobody },
    )
    expect(readdirSync(folder)).toEqual(['integrations.db'])
  })

  test.runIf(root)("another user's alone cannot be opened", async () => {
    const file = join(freshFolder(), 'integrations.db')
    copyFileSync(await copy(), file)
    chmodSync(file, 0o600)
    chownSync(join(file, '..'), nobody, nobody)
    await refuses(
      file,
      refusal(
        6,
        `file:${file} cannot be opened`,
        'check that it is a file, and that you may read and write it and its folder',
      ),
      everything,
      { uid: nobody },
    )
  })

  test('keeps no write-ahead log can be read, and changed once it does', async () => {
    const db = await freshDatabase('sqlite')
    const env = { DATABASE_URL: db.url }
    await db.query('PRAGMA journal_mode = DELETE')
    expect(await runProgram(['list'], { env })).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await runProgram(['workspaces', 'add', 'Acme'], { env })).toEqual(
      refusal(
        6,
        `${db.url} has no write-ahead log, without which a change can be lost`,
        `integrations db migrate --database ${db.url}`,
      ),
    )
    expect(await db.query('SELECT * FROM workspaces')).toEqual([])
    expect(await runProgram(['db', 'migrate'], { env })).toMatchObject({
      code: 0,
      stderr: `${db.url} is already up to date\n`,
    })
    expect(await db.query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    expect(await runInProcess(['workspaces', 'add', 'Acme'], { env })).toMatchObject({ code: 0 })
  })
})

describe('a PostgreSQL database that', () => {
  const refuses = async (url: string, outcome: Outcome, commands: string[][]) => {
    for (const args of commands)
      expect(await (args === commands[0] ? runProgram : runInProcess)(args, { env: { DATABASE_URL: url } })).toEqual(
        outcome,
      )
  }

  test('is down', async () => {
    await refuses(
      'postgresql://ana:hunter2@127.0.0.1:1/app',
      refusal(
        6,
        'postgresql://ana@127.0.0.1:1/app cannot be reached',
        'check that the server runs and that DATABASE_URL or --database names it',
      ),
      everything,
    )
  })

  test('does not exist', async () => {
    const url = at(await emptyPostgresql(), (one) => (one.pathname = '/no_such_database'))
    await refuses(
      url,
      refusal(6, `${url.replace(/:[^:@/]*@/, '@')} does not exist`, 'create it, or correct DATABASE_URL or --database'),
      everything,
    )
  })

  test('refuses the password', async () => {
    const db = await freshDatabase('postgresql')
    await refuses(
      at(db, (url) => (url.password = 'hunter2')),
      refusal(
        4,
        `${shown(db)} refused the user or the password (28P01)`,
        'put the right user and password into DATABASE_URL',
      ),
      everything,
    )
  })

  test('speaks no TLS when that is required', async () => {
    const db = await freshDatabase('postgresql')
    await refuses(
      `${db.url}?sslmode=require`,
      refusal(
        6,
        `${shown(db)}?sslmode=require does not speak TLS, which sslmode demands`,
        'turn on TLS at the server; or leave sslmode out, where the network is trusted',
      ),
      everything,
    )
  })

  test('is read-only can be read, and not changed', async () => {
    const db = await freshDatabase('postgresql')
    const empty = await emptyPostgresql()
    for (const one of [db, empty])
      await one.query(`ALTER DATABASE ${new URL(one.url).pathname.slice(1)} SET default_transaction_read_only = on`)
    const readOnly = (one: TestDatabase) =>
      refusal(6, `${shown(one)} can only be read`, 'connect to the primary server, or as a role that may write')
    await refuses(db.url, readOnly(db), [['workspaces', 'add', 'Acme']])
    await refuses(empty.url, readOnly(empty), [['init'], ['db', 'migrate']])
    await refuses(db.url, { code: 0, stdout: '', stderr: '' }, [['list']])
    expect(await status(db)).toMatchObject({ code: 0, status: { state: 'ready', workspaces: 0 } })
    expect(await runProgram(['db', 'migrate'], { env: { DATABASE_URL: db.url } })).toMatchObject({
      code: 0,
      stderr: `${shown(db)} is already up to date\n`,
    })
    expect(await empty.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)).toEqual([])
  })

  test('gives the role no rights', async () => {
    const db = await freshDatabase('postgresql')
    const role = new URL(db.url).pathname.slice(1)
    await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'weak'`)
    const url = at(db, (one) => Object.assign(one, { username: role, password: 'weak' }))
    const outcome = refusal(
      4,
      'the database role may not do this',
      'connect as a role with the rights, or ask the owner of the database',
    )
    await refuses(url, outcome, everything)
    await db.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`)
    await refuses(url, { code: 0, stdout: '', stderr: '' }, [['list']])
    await refuses(url, outcome, [['workspaces', 'add', 'Acme']])
    expect(await db.query('SELECT * FROM workspaces')).toEqual([])
  })

  test('is named with a schema keeps everything in it, for a role that owns no more', async () => {
    const db = await emptyPostgresql()
    const role = new URL(db.url).pathname.slice(1)
    await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'weak'`)
    const url = at(db, (one) => Object.assign(one, { username: role, password: 'weak', search: '?schema=Other' }))
    const missing = refusal(
      6,
      'the schema that the database URL names does not exist, or this role may not use it',
      'create it with CREATE SCHEMA, or correct schema= in the URL',
    )
    await refuses(url, missing, everything)

    await db.query(`CREATE SCHEMA "Other" AUTHORIZATION ${role}`)
    const env = { DATABASE_URL: url, SECRET: 's3cret-of-a-test' }
    expect(await runProgram(['init'], { env })).toMatchObject({ code: 0 })
    expect(await runInProcess(['workspaces', 'add', 'Acme'], { env })).toMatchObject({ code: 0 })
    expect(
      await runInProcess(
        ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'support', '--webhook-secret-env', 'SECRET'],
        { env },
      ),
    ).toMatchObject({ code: 0 })
    expect(await runInProcess(['list', '--fields', 'workspace,name'], { env })).toEqual({
      code: 0,
      stdout: 'Acme\tsupport\n',
      stderr: '',
    })
    expect(await db.query('SELECT name FROM "Other".integrations')).toEqual([{ name: 'support' }])
    expect(
      await db.query(
        `SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
      ),
    ).toEqual([{ schemaname: 'Other' }])
    await refuses(db.url, refusal(6, `${shown(db)} is empty`, 'integrations init'), readingAndChanging)
  })
})
