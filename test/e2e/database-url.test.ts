import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parsePostgresqlUrl } from '../../src/store/database/postgresql/url.ts'
import { emptyPostgresql, freshDatabase, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { refusalOf, refusingServer, scram } from '../support/refusing-server.ts'

const canary = 'S3CR3T'

/** URLs with something in a strange place, and what the error says. */
const strange: [url: string, message: string][] = [
  ...[
    `postgres://u:ab/${canary}@127.0.0.1:1/app`,
    `postgres://u:ab?${canary}@127.0.0.1:1/app`,
    `postgres://u:ab#${canary}@127.0.0.1:1/app`,
    `postgres://u:12/${canary}@127.0.0.1:1/app`,
    `postgres://127.0.0.1:1/app@${canary}`,
    `postgres://127.0.0.1:1/app#${canary}`,
  ].map((url): [string, string] => [
    url,
    'the database URL has a character that must be escaped: @, /, # or ? in a password or a name',
  ]),
  [`postgres://u:%${canary}@127.0.0.1:1/app`, 'the database URL has a "%" without two hexadecimal digits after it'],
  [`postgres://127.0.0.1:${canary}/app`, 'the database URL has a host or a port that cannot be read'],
  [`postgres://u:p@h:1:${canary}/app`, 'the database URL has a host or a port that cannot be read'],
  [`postgres://127.0.0.1:1/app?target_session_attrs=${canary}`, 'target_session_attrs has a value that is not known'],
  [`postgres://u%3A${canary}@127.0.0.1:1/app`, 'postgres://…@127.0.0.1:1/app cannot be reached'],
  [`postgres://127.0.0.1:1/app%3A${canary}`, 'postgres://127.0.0.1:1/… cannot be reached'],
  [`postgres://h:1/app?host=127.0.0.1&application_name=${canary}`, 'postgres://…:1/app cannot be reached'],
  [`postgres://127.0.0.1:1/app?sslmode=${canary}`, 'sslmode has a value that is not known'],
  [`postgres://127.0.0.1:1/app?hostaddr=${canary}`, 'hostaddr= and PGHOSTADDR are not supported'],
  [`postgres://127.0.0.1:1/app?options=-c%20a=${canary}`, 'postgres://127.0.0.1:1/app cannot be reached'],
  [
    `postgres://127.0.0.1:1/app?service=${canary}`,
    'the service that service= or PGSERVICE names is not in the service file',
  ],
  [
    `postgres://127.0.0.1:1/app?sslmode=require&sslrootcert=/${canary}`,
    'the file that sslrootcert names cannot be read',
  ],
  [`mysql://u:${canary}@h/app`, 'this kind of database is not supported: SQLite and PostgreSQL are'],
  [`libsql://h?authToken=${canary}`, 'a remote libsql database is not supported'],
  [`prisma://h/?api_key=${canary}`, "Prisma's proxies are not supported: the program connects to the database itself"],
  [`sqlite:./${canary}`, 'an SQLite file is named by file: and not by sqlite:'],
  [`file:postgres://u:${canary}@h/app`, 'the database URL is a file: URL with another URL in it'],
  [`${canary}`, 'the database URL is neither file: nor postgresql:'],
  ['  ', 'the database URL is empty'],
  [`host=h user=u password=${canary}`, 'the database URL is a list of settings'],
  [`Server=h;Port=5432;User Id=u;Password=${canary};`, 'the database URL is a list of settings'],
  [`https://h/${canary}`, 'the database URL is the address of a web page'],
  ['$DATABASE_URL', 'the database URL is the name of a variable that was not replaced by its value'],
  ['%DATABASE_URL%', 'the database URL is the name of a variable that was not replaced by its value'],
  [`DATABASE_URL=postgresql://u:${canary}@h/app`, 'the database URL begins with something else'],
  [`psql "postgresql://u:${canary}@h/app"`, 'the database URL begins with something else'],
  [`export DATABASE_URL=file:/${canary}`, 'the database URL begins with something else'],
  ...['postgresql:', 'postgresql:/', 'postgresql//', 'pg://', '//', ''].map((begin): [string, string] => [
    `${begin}u:${canary}@h/app`,
    'the database URL does not begin with postgresql://',
  ]),
  ...['/srv/', './', '~/', 'C:\\', ''].map((begin): [string, string] => [
    `${begin}${canary}.db`,
    'a path is not a database URL',
  ]),
  [`postgresql://u:${canary}@host:port/database`, 'the database URL has a host or a port that cannot be read'],
  [`postgresql://u:${canary}@::1:5432/app`, 'the database URL has a host or a port that cannot be read'],
]

test.each(strange)('%s shows nothing of what is in a strange place', async (url, message) => {
  const { code, stdout, stderr } = await runInProcess(['list'], { env: { DATABASE_URL: url } })
  expect({ code, stdout, error: stderr.split('\n')[0] }).toEqual({
    code: message.endsWith('reached') ? 6 : 2,
    stdout: '',
    error: `error: ${message}`,
  })
  expect(stderr).not.toContain(canary)
})

/** What a database is addressed by. */
function parts(db: TestDatabase) {
  const { port, pathname } = new URL(db.url)
  return { port, name: pathname.slice(1), server: `127.0.0.1:${port}` }
}

const empty = { code: 0, stdout: '', stderr: '' }

describe('a PostgreSQL URL as its own programs take it', () => {
  test('names a socket, in every spelling', async () => {
    const db = await freshDatabase('postgresql')
    const { port, name } = parts(db)
    for (const url of [
      `postgresql://postgres:postgres@/${name}?host=/tmp&port=${port}`,
      `postgresql://postgres:postgres@/${name}?host=/tmp&port=${port}&sslmode=require`,
      `postgresql:///${name}?host=/tmp&port=${port}&user=postgres&password=postgres`,
      `postgresql://postgres:postgres@%2Ftmp:${port}/${name}`,
      `postgres://postgres:postgres@:${port}/${name}`,
      `postgresql://?host=%2Ftmp&port=${port}&dbname=${name}&user=postgres&password=postgres`,
    ])
      expect([url, await runInProcess(['list'], { env: { DATABASE_URL: url } })]).toEqual([url, empty])
  })

  test('may be in quotes and white space, as files and other programs leave them', async () => {
    for (const kind of ['postgresql', 'sqlite'] as const) {
      const { url } = await freshDatabase(kind)
      for (const text of [
        `  ${url}\r\n`,
        `"${url}"`,
        `'${url}'\n`,
        `\uFEFF${url}`,
        url.replace(/^\w+/, (s) => s.toUpperCase()),
      ])
        expect([text, await runInProcess(['list'], { env: { DATABASE_URL: text } })]).toEqual([text, empty])
    }
  })

  test('names a setting that the server does not know', async () => {
    const db = await freshDatabase('postgresql')
    const shown = db.url.replace(/:[^:@/]*@/, '@')
    for (const [options, state] of [
      ['project=S3CR3T', '42601'],
      ['-c s3cr3t=1', '42704'],
      ['-c statement_timeout=S3CR3T', '22023'],
    ])
      expect(
        await runInProcess(['list'], {
          env: { DATABASE_URL: `${db.url}?options=${encodeURIComponent(options ?? '')}` },
        }),
      ).toEqual({
        code: 2,
        stdout: '',
        stderr: `error: ${shown} refused a setting that the connection begins with (${state})\nhint: correct options= in the database URL, or PGOPTIONS\n`,
      })
  })

  test('names several hosts, of which the first that answers and is as wanted counts', async () => {
    const db = await freshDatabase('postgresql')
    const { name, server } = parts(db)
    const starting = `127.0.0.1:${await refusingServer(refusalOf('57P03', 'the database system is starting up'))}`
    const url = (hosts: string, more = '') => `postgresql://postgres:postgres@${hosts}/${name}${more}`
    const list = (address: string) => runInProcess(['list'], { env: { DATABASE_URL: address } })
    expect(await list(url(`127.0.0.1:1,${server}`))).toEqual(empty)
    expect(await list(url(`${starting},${server}`, '?target_session_attrs=read-write'))).toEqual(empty)
    expect(await list(url(`127.0.0.1:1,${server}`, '?target_session_attrs=prefer-standby'))).toEqual(empty)
    expect(await list(url(`127.0.0.1:1,${server}`, '?target_session_attrs=primary'))).toEqual(empty)
    expect(await list(url(`${server},${server}`, '?target_session_attrs=standby'))).toEqual({
      code: 6,
      stdout: '',
      stderr:
        'error: none of the servers is as target_session_attrs=standby asks\nhint: try again after a failover, or correct the hosts in DATABASE_URL\n',
    })
    expect(await list(url('127.0.0.1:1,127.0.0.1:2'))).toMatchObject({
      code: 6,
      stderr: expect.stringContaining(`postgresql://postgres@127.0.0.1:1,127.0.0.1:2/${name} cannot be reached`),
    })
  })

  test('takes the password from a password file that others cannot read, without a word', async () => {
    const db = await freshDatabase('postgresql')
    const { port, name, server } = parts(db)
    const DATABASE_URL = `postgresql://postgres@${server}/${name}`
    const file = join(freshFolder(), 'pass:word')
    writeFileSync(file, `# a comment\nother:1:*:*:no\n127.0.0.1:${port}:*:postgres:postgres\n`, { mode: 0o600 })
    expect(await runProgram(['list'], { env: { DATABASE_URL, PGPASSFILE: file } })).toEqual(empty)
    const readable = join(freshFolder(), 'readable')
    writeFileSync(readable, '*:*:*:*:postgres\n', { mode: 0o644 })
    expect(await runProgram(['list'], { env: { DATABASE_URL, PGPASSFILE: readable } })).toEqual({
      code: 4,
      stdout: '',
      stderr: `error: no password for ${DATABASE_URL}: other users may read the password file, which is not used for that reason\nhint: chmod 600 ${readable}\n`,
    })
    const asking = `postgresql://ana@127.0.0.1:${await refusingServer(scram)}/app`
    expect(await runProgram(['list'], { env: { DATABASE_URL: asking } })).toEqual({
      code: 4,
      stdout: '',
      stderr: `error: no password for ${asking}, which asks for one\nhint: put the password into DATABASE_URL, PGPASSWORD or ~/.pgpass (mode 0600)\n`,
    })
  })

  test('names a service', async () => {
    const db = await freshDatabase('postgresql')
    const { port, name } = parts(db)
    const file = join(freshFolder(), 'services')
    writeFileSync(
      file,
      `# ours\n[other]\nhost=nowhere\nport=1\nuser=ana\npassword=${canary}\ndbname=staging\n[app]\nhost=127.0.0.1\nport=${port}\nuser=postgres\npassword=postgres\ndbname=${name}\n`,
    )
    const run = (DATABASE_URL: string, more = {}) =>
      runProgram(['list'], { env: { DATABASE_URL, PGSERVICEFILE: file, ...more } })
    expect(await run('postgresql://?service=app')).toEqual(empty)
    expect(await run('postgresql://', { PGSERVICE: 'app' })).toEqual(empty)
    // What the URL says goes before what a service says.
    expect(await run(db.url, { PGSERVICE: 'other' })).toEqual(empty)
    expect(await run(`${db.url}?service=other`, { PGHOST: 'nowhere', PGPORT: '2' })).toEqual(empty)
    const mixed = `postgresql://127.0.0.1/${name}?service=other&port=${port}&user=postgres&password=postgres`
    expect(await run(mixed)).toEqual(empty)
    const { parameters } = parsePostgresqlUrl('postgresql://?service=other', { PGSERVICEFILE: file })
    expect([...parameters]).toEqual([])
  })

  test('names a schema in the ways of other drivers', async () => {
    const db = await emptyPostgresql()
    await db.query('CREATE SCHEMA tenant2')
    expect(await runInProcess(['init'], { env: { DATABASE_URL: `${db.url}?currentSchema=tenant2` } })).toMatchObject({
      code: 0,
    })
    await db.query('CREATE SCHEMA "a,B"')
    expect(
      await runInProcess(['init'], { env: { DATABASE_URL: `${db.url}?schema=${encodeURIComponent('a,B')}` } }),
    ).toMatchObject({ code: 0 })
    for (const more of [
      'schema=tenant2',
      'search_path=tenant2',
      'options=-c%20search_path%3Dtenant2',
      'options=--search-path%3Dtenant2',
      'options=-c%20search_path%3Dpublic%20--SEARCH_PATH%3Dtenant2',
      `search_path=${encodeURIComponent('"a,B"')}`,
    ])
      expect(await runInProcess(['list'], { env: { DATABASE_URL: `${db.url}?${more}` } })).toEqual(empty)
    expect(await runInProcess(['list'], { env: { DATABASE_URL: `${db.url}?search_path=tenant2,public` } })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: the search path in the database URL has more than the name of a schema\nhint: name the schema of these tables with schema=\n',
    })
    expect(await db.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).toEqual([])
  })

  test('names a schema with characters that SQL acts on', async () => {
    const db = await emptyPostgresql()
    const name = `a"b.C d'é\\x$`
    await db.query(`CREATE SCHEMA "${name.replaceAll('"', '""')}"`)
    const env = { DATABASE_URL: `${db.url}?schema=${encodeURIComponent(name)}`, SECRET: '0123456789abcdef'.repeat(2) }
    const secret = ['--webhook-secret-env', 'SECRET']
    for (const args of [
      ['init'],
      ['add', '--platform', 'pylon', '--new-workspace', 'Acme', '--name', 'desk', ...secret],
      ['rotate', 'desk', ...secret, '--grace', '0', '--end-previous'],
      ['disable', 'desk'],
      ['db', 'migrate'],
      ['audit', 'verify'],
    ]) {
      const { code, stderr } = await runInProcess(args, { env: { ...env, SECRET: env.SECRET + args[0] } })
      expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
    }
    expect(await db.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).toEqual([])
  })

  test('names no schema, and the database has a search path of its own: no tables are made elsewhere', async () => {
    const db = await emptyPostgresql()
    await db.query('CREATE SCHEMA tenant2')
    await db.query(`ALTER DATABASE ${parts(db).name} SET search_path = tenant2, public`)
    for (const args of [['init'], ['list'], ['db', 'status'], ['db', 'migrate'], ['db', 'adopt']])
      expect(await runInProcess(args, { env: { DATABASE_URL: db.url } })).toEqual({
        code: 2,
        stdout: '',
        stderr:
          'error: the search path of the role or the database leads to the schema "tenant2", and the database URL names no schema\nhint: add schema=tenant2 to the database URL, or schema=public\n',
      })
    expect(await db.query("SELECT tablename FROM pg_tables WHERE schemaname IN ('public', 'tenant2')")).toEqual([])
    expect(await runInProcess(['init'], { env: { DATABASE_URL: `${db.url}?schema=public` } })).toMatchObject({
      code: 0,
    })
  })
})

describe('a URL without a schema, where two schemas have tables of this program', () => {
  /** A database with an integration's workspace in each of two schemas, which have its name. */
  async function twoSchemas() {
    const db = await freshDatabase('postgresql')
    await db.query('CREATE SCHEMA tenant1')
    expect(await runInProcess(['init'], { env: { DATABASE_URL: `${db.url}?schema=tenant1` } })).toMatchObject({
      code: 0,
    })
    for (const schema of ['public', 'tenant1'])
      await db.query(
        `INSERT INTO ${schema}.workspaces (id, name, created_at, updated_at) VALUES ('w', '${schema}', now(), now())`,
      )
    return db
  }
  const list = ['workspaces', 'list', '--fields', 'name']
  const refused = (schema: string) => ({
    code: 2,
    stdout: '',
    stderr: `error: the search path of the role or the database leads to the schema "${schema}", and the database URL names no schema\nhint: add schema=${schema} to the database URL, or schema=public\n`,
  })

  test('takes that of options= and PGOPTIONS', async () => {
    const db = await twoSchemas()
    const tenant1 = { code: 0, stdout: 'tenant1\n', stderr: '' }
    for (const option of ['--search-path=tenant1', '-c search_path=tenant1', '-cSearch_Path=tenant1']) {
      const inUrl = { DATABASE_URL: `${db.url}?options=${encodeURIComponent(option)}` }
      for (const env of [inUrl, { DATABASE_URL: db.url, PGOPTIONS: option }])
        expect([env, await runInProcess(list, { env })]).toEqual([env, tenant1])
    }
    const named = { DATABASE_URL: `${db.url}?schema=public`, PGOPTIONS: '-c search_path=tenant1' }
    expect(await runProgram(list, { env: named })).toEqual({ ...tenant1, stdout: 'public\n' })
  })

  test.each([
    ['tenant1', 'tenant1'],
    ['"$user", tenant1, public', 'tenant1'],
    ['missing, tenant1', 'tenant1'],
    ['tenant2', 'tenant2'],
    ['public, tenant1', undefined],
    ['missing, public', undefined],
    ['"$user", public', undefined],
  ])('and the database has the search path %s', async (path, meant) => {
    const db = await twoSchemas()
    await db.query(`ALTER DATABASE ${parts(db).name} SET search_path = ${path}`)
    const env = { DATABASE_URL: db.url }
    const taken = { code: 0, stdout: 'public\n', stderr: '' }
    expect(await runInProcess(list, { env })).toEqual(meant === undefined ? taken : refused(meant))
    if (meant === undefined) return
    const commands = [['workspaces', 'add', 'Acme'], ['init'], ['db', 'status'], ['db', 'migrate'], ['db', 'adopt']]
    for (const args of commands) expect(await runInProcess(args, { env })).toEqual(refused(meant))
    for (const schema of ['public', 'tenant1'])
      expect(await db.query(`SELECT name FROM ${schema}.workspaces`)).toEqual([{ name: schema }])
  })

  test('and one has the name of the role', async () => {
    const db = await twoSchemas()
    await db.query('ALTER SCHEMA tenant1 RENAME TO postgres')
    expect(await runInProcess(list, { env: { DATABASE_URL: db.url } })).toEqual(refused('postgres'))
  })
})

test("a file: URL takes the settings of Prisma's pool, which say nothing about the file", async () => {
  const db = await freshDatabase('sqlite')
  expect(await runInProcess(['list'], { env: { DATABASE_URL: `${db.url}?connection_limit=1` } })).toEqual(empty)
  expect(await runInProcess(['list'], { env: { DATABASE_URL: `${db.url}?mode=ro` } })).toMatchObject({ code: 2 })
})
