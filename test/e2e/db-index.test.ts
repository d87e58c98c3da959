import { describe, expect, test } from 'vitest'
import { application, database, rows } from '../support/application.ts'
import { begin, contents, freshDatabase, kinds, postgresqlDatabase, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { startPooler, withoutPooler } from '../support/pooler.ts'
import { runProgram } from '../support/program.ts'
import { notes } from '../support/told.ts'

const names = [
  'integration_workspace_name_idx',
  'integration_workspace_idx',
  'integration_name_idx',
  'integration_id_idx',
  'integration_team_idx',
  'integration_creator_idx',
]

const shown = (db: TestDatabase) => db.url.replace(/:[^:@/]*@/, '@')

/** An application's database, adopted. */
async function adopted(kind: TestDatabase['kind']): Promise<TestDatabase> {
  const db = await database(kind, application[kind], rows)
  expect(await runProgram(['db', 'adopt'], { env: { DATABASE_URL: db.url } })).toMatchObject({ code: 0 })
  return db
}

/** How each index stands, by its name. */
async function states(db: TestDatabase): Promise<Record<string, string>> {
  const { stdout } = await runInProcess(['db', 'index', '-o', 'json', '--fields', 'name,state'], {
    env: { DATABASE_URL: db.url },
  })
  const list: { name: string; state: string }[] = JSON.parse(stdout)
  return Object.fromEntries(list.map(({ name, state }) => [name, state]))
}

const all = (state: string) => Object.fromEntries(names.map((name) => [name, state]))

/** Looks again until something is so in a database, or a command has ended. */
async function until(db: TestDatabase, condition: string, command: Promise<unknown>): Promise<void> {
  let ended = false
  void command.finally(() => {
    ended = true
  })
  while (!ended && (await db.query(`SELECT 1 WHERE ${condition}`)).length === 0);
}

describe.each(kinds)('db index on %s', (kind) => {
  const run = runInProcess

  test('a database of this program has all of them', async () => {
    const db = await freshDatabase(kind)
    expect(await states(db)).toEqual(all('present'))
    expect(await run(['db', 'index', '--create', '-o', 'json'], { env: { DATABASE_URL: db.url } })).toEqual({
      code: 0,
      stdout: '[]\n',
      stderr: notes(`${shown(db)} has all indexes already`),
    })
  })

  test('an adopted database has none until they are asked for', async () => {
    const db = await adopted(kind)
    const env = { DATABASE_URL: db.url }
    const missing: Record<string, string> = {
      ...all('missing'),
      ...(kind === 'sqlite' ? { integration_id_idx: 'present' } : {}),
    }
    const lacked = names.filter((name) => missing[name] === 'missing')
    expect(await states(db)).toEqual(missing)
    expect(await run(['db', 'index', '--fields', 'name,outcome'], { env })).toEqual({
      code: 0,
      stdout: names.map((name) => `${name}\t${lacked.includes(name) ? 'would change' : 'unchanged'}\n`).join(''),
      stderr: '',
    })
    const byBytes = kind === 'sqlite' ? ' COLLATE BINARY' : ' COLLATE "C"'
    const flag = kind === 'sqlite' ? ` --database ${db.url}` : ''
    const status = await run(['db', 'status', '--fields', 'indexesMissing'], { env })
    expect(status).toEqual({
      code: 0,
      stdout: `${JSON.stringify(lacked)}\n`,
      stderr: expect.stringMatching(/^large tables need these indexes; add the statements to the application's own/),
    })
    expect(status.stderr).toContain(`or run integrations db index --create${flag}:\n`)
    expect(status.stderr).toContain(
      `\n  CREATE INDEX "integration_workspace_idx" ON "integrations" ("workspace_id", "name"${byBytes}, "id"${byBytes});\n`,
    )

    // A version of this program that has its indexes meets a database that was adopted by one that had none.
    await db.query("DELETE FROM _prisma_migrations WHERE migration_name LIKE '%application_indexes'")
    expect(await run(['show', 'support'], { env })).toMatchObject({ code: 6 })
    expect(await run(['db', 'migrate'], { env })).toMatchObject({ code: 0 })
    expect(await states(db)).toEqual(missing)

    const before = await contents(db)
    expect(await run(['db', 'index', '--create', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: lacked.map((name) => `${name}\n`).join(''),
      stderr: `${lacked.map((name) => `made the index ${name}\n`).join('')}made ${lacked.length} indexes in ${shown(db)}\n`,
    })
    expect(await states(db)).toEqual(all('present'))
    expect(await contents(db)).toEqual(before)
    expect(await run(['db', 'status', '--fields', 'state,indexesMissing'], { env })).toEqual({
      code: 0,
      stdout: 'ready\t[]\n',
      stderr: '',
    })
  })

  test("an index of the application's that begins with the same columns will do", async () => {
    const db = await adopted(kind)
    const byBytes = kind === 'sqlite' ? '' : ' COLLATE "C"'
    await db.query(`CREATE INDEX theirs ON integrations (name${byBytes}, id${byBytes}, platform)`)
    await db.query('CREATE INDEX other ON integrations (created_at DESC, created_by)')
    await db.query(`CREATE INDEX part ON workspaces (name${byBytes}, id${byBytes}) WHERE plan = 'pro'`)
    expect(await states(db)).toEqual({
      ...all('missing'),
      ...(kind === 'sqlite' ? { integration_id_idx: 'present' } : {}),
      integration_name_idx: 'present',
    })
  })

  test("the name of an index that is the application's for another is told, and the others are made", async () => {
    const db = await adopted(kind)
    const env = { DATABASE_URL: db.url }
    await db.query('CREATE INDEX integration_name_idx ON integrations (platform)')
    const before = { ...all('missing'), ...(kind === 'sqlite' ? { integration_id_idx: 'present' } : {}) }
    expect(await states(db)).toEqual({ ...before, integration_name_idx: 'taken' })
    const sentence = 'the index integration_name_idx is there, but with other columns or in another order'
    const { stderr } = await run(['db', 'status'], { env })
    expect(stderr.split('\n').slice(-2)).toEqual([`${sentence}: drop or rename it first`, ''])
    const made = names.filter(
      (name) => before[name as keyof typeof before] === 'missing' && name !== 'integration_name_idx',
    )
    const flag = kind === 'sqlite' ? ` --database ${db.url}` : ''
    expect(await run(['db', 'index', '--create'], { env })).toEqual({
      code: 5,
      stdout: '',
      stderr: `${made.map((name) => `made the index ${name}\n`).join('')}error: ${sentence}
hint: drop or rename integration_name_idx, then run integrations db index --create${flag}
`,
    })
    expect(await states(db)).toEqual({ ...all('present'), integration_name_idx: 'taken' })
    await db.query('DROP INDEX integration_name_idx')
    expect(await run(['db', 'index', '--create', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stdout: 'integration_name_idx\n',
    })
  })
})

test('one that is invalid is made again', async () => {
  const db = await freshDatabase('postgresql')
  await db.query("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'integration_name_idx'::regclass")
  expect(await states(db)).toEqual({ ...all('present'), integration_name_idx: 'invalid' })
  const env = { DATABASE_URL: db.url }
  const { stdout } = await runInProcess(['db', 'index', '-o', 'json'], { env })
  const invalid = JSON.parse(stdout).find(({ state }: { state: string }) => state === 'invalid')
  await db.query(`BEGIN; ${invalid.statement}; ROLLBACK`)
  expect(await runInProcess(['db', 'index', '--create', '-o', 'id'], { env })).toMatchObject({
    code: 0,
    stdout: 'integration_name_idx\n',
  })
  expect(await states(db)).toEqual(all('present'))
})

test('it waits for the transactions of others for as long as they last, and keeps nobody from writing', async () => {
  const db = await adopted('postgresql')
  const name = new URL(db.url).pathname.slice(1)
  for (const limit of ['statement_timeout', 'lock_timeout'])
    await db.query(`ALTER DATABASE ${name} SET ${limit} = '1s'`)
  const commit = await begin(db, "UPDATE workspaces SET plan = 'free'")
  const env = { DATABASE_URL: db.url }
  const creating = runProgram(['db', 'index', '--create', '--wait', '1s', '-o', 'id'], { env })
  const making = "query LIKE 'CREATE INDEX CONCURRENTLY%' AND datname = current_database()"
  await until(
    db,
    `EXISTS (SELECT FROM pg_stat_activity WHERE ${making} AND now() - query_start > interval '2 s')`,
    creating,
  )

  await db.query("INSERT INTO workspaces (id, name, plan, updated_at) VALUES ('w2', 'Bolt', 'pro', now())")
  expect(await states(db)).toEqual({ ...all('missing'), integration_workspace_name_idx: 'building' })
  expect(await runInProcess(['db', 'index', '--create'], { env })).toEqual({
    code: 5,
    stdout: '',
    stderr: 'error: another process is making the index integration_workspace_name_idx\nhint: integrations db index\n',
  })
  await commit()
  expect(await creating).toMatchObject({ code: 0, stdout: names.map((name) => `${name}\n`).join('') })
  expect(await states(db)).toEqual(all('present'))
})

test.skipIf(withoutPooler)(
  'a limit that a pooler does not let be lifted is told, and no session keeps another',
  async () => {
    const db = await adopted('postgresql')
    const name = new URL(db.url).pathname.slice(1)
    await db.query(`ALTER DATABASE ${name} SET statement_timeout = '1h'`)
    const pooler = await startPooler(db.url, { mode: 'transaction', size: 1 })
    const env = { DATABASE_URL: pooler.through(db.url) }
    expect(await runInProcess(['db', 'index', '--create'], { env })).toEqual({
      code: 4,
      stdout: '',
      stderr:
        'error: statement_timeout would end the statement, and the pooler does not let a client lift such a limit\nhint: connect to the server itself\n',
    })
    await db.query(`ALTER DATABASE ${name} RESET statement_timeout`)
    await pooler.console('RECONNECT')
    expect(await runInProcess(['db', 'index', '--create', '-o', 'id'], { env })).toMatchObject({ code: 0 })
    expect(await states(db)).toEqual(all('present'))
  },
)

test('a partitioned table is told, on which no index is made while others change it', async () => {
  const db = await adopted('postgresql')
  await db.query('CREATE TABLE parted (LIKE workspaces) PARTITION BY LIST (id)')
  await db.query('ALTER TABLE workspaces RENAME TO plain')
  await db.query('ALTER TABLE parted RENAME TO workspaces')
  expect(await runInProcess(['db', 'index', '--create'], { env: { DATABASE_URL: db.url } })).toEqual({
    code: 5,
    stdout: '',
    stderr: `error: the table workspaces is partitioned, and PostgreSQL makes no index on such a table while others change it
hint: add the statements of integrations db index to the migrations of the application
`,
  })
})

test('a role that does not own a table is told so', async () => {
  const db = await adopted('postgresql')
  const role = `other_${new URL(db.url).pathname.slice(1)}`
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'pass'`)
  await db.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`)
  const url = new URL(db.url)
  url.username = role
  url.password = 'pass'
  const other = postgresqlDatabase(url.href)
  expect(await states(other)).toEqual(all('missing'))
  expect(await runInProcess(['db', 'index', '--create'], { env: { DATABASE_URL: other.url } })).toEqual({
    code: 4,
    stdout: '',
    stderr: `error: the table workspaces belongs to the role "postgres", and "${role}" may make no index on it
hint: run integrations db index --create as "postgres", or add the statements of integrations db index to the migrations of the application
`,
  })
})
