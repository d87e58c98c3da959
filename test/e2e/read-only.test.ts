import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import sql from 'sql-template-tag'
import { describe, expect, test } from 'vitest'
import { parseDatabaseUrl } from '../../src/store/database/url.ts'
import { type StoreOptions, withDatabase } from '../../src/store/schema/ready.ts'
import { contents, emptyPostgresql, freshDatabase, kinds, sqliteDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { changingCommands, populate, readOnlyCommands, runSample } from '../support/sample-commands.ts'

const refused =
  'nothing may be changed or recorded: --read-only or INTEGRATIONS_READ_ONLY is set\nhint: leave it out to do this\n'

describe.each(kinds)('read-only on %s', (kind) => {
  test('every change is refused, and everything else goes on', async () => {
    const db = await freshDatabase(kind)
    const keys = join(freshFolder(), 'none.json')
    await populate(db)
    const before = await contents(db)
    for (const sample of changingCommands) {
      const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
      const { code, stdout, stderr } =
        kind === 'sqlite'
          ? await runSample(sample, { ...env, INTEGRATIONS_READ_ONLY: '1' }, runInProcess)
          : await runSample({ ...sample, args: ['--read-only', ...sample.args] }, env, runInProcess)
      expect([sample.args, code, stdout]).toEqual([sample.args, 4, ''])
      expect(stderr).toContain(refused)
    }
    expect(await contents(db)).toEqual(before)
    expect(existsSync(keys)).toBe(false)
    for (const sample of readOnlyCommands) {
      const plain = await runSample(sample, { DATABASE_URL: db.url }, runInProcess)
      expect(await runSample(sample, { DATABASE_URL: db.url, INTEGRATIONS_READ_ONLY: '1' }, runInProcess)).toEqual(
        plain,
      )
    }
  })

  test('an empty database stays empty', async () => {
    const db = kind === 'sqlite' ? sqliteDatabase(join(freshFolder(), 'new.db')) : await emptyPostgresql()
    const env = { DATABASE_URL: db.url, INTEGRATIONS_READ_ONLY: '1' }
    for (const args of [['init'], ['db', 'migrate'], ['db', 'adopt']])
      expect(await runProgram(args, { env })).toEqual({ code: 4, stdout: '', stderr: `error: ${refused}` })
    if (kind === 'sqlite') expect(existsSync(db.url.slice('file:'.length))).toBe(false)
    else expect(await contents(db)).toEqual({})
  })

  test('the connection itself refuses to change anything', async () => {
    const db = await freshDatabase(kind)
    const options = {
      database: parseDatabaseUrl(db.url, { cwd: '/', env: {} }),
      wait: 1000,
      create: false,
      readOnly: true,
      notice: () => {},
    } as Partial<StoreOptions> as StoreOptions
    const change = sql`UPDATE integration_settings SET seq = 7`
    await withDatabase(options, async (_, session) => {
      const attempts = [
        () => session.read((rows) => rows.execute(change)),
        () => session.snapshot((rows) => rows.execute(change)),
        // On SQLite, a transaction takes its connection with it.
        () => session.snapshot((rows) => rows.fetch({}, change)),
        () => session.read((rows) => rows.fetch({}, change)),
        () => session.mutate(async () => ({ result: undefined, keep: true })),
      ]
      for (const one of attempts) await expect(one()).rejects.toMatchObject({ code: 'DATABASE_READ_ONLY' })
    })
    expect(await db.query('SELECT key FROM integration_settings WHERE seq = 7')).toEqual([])
  })
})

test('a report makes no database, with which a job that names none would look healthy', async () => {
  const home = freshFolder()
  const file = join(home, '.local', 'share', 'integrations', 'integrations.db')
  expect(await runProgram(['report'], { env: { HOME: home } })).toEqual({
    code: 6,
    stdout: '',
    stderr: `error: there is no file ${file}\nhint: integrations init\n`,
  })
  expect(readdirSync(home)).toEqual([])
  expect(await runProgram(['init'], { env: { HOME: home } })).toMatchObject({ code: 0 })
  expect(await runProgram(['report'], { env: { HOME: home } })).toEqual({
    code: 0,
    stdout: '',
    stderr: 'no findings in 0 integrations\n',
  })
})

test('the default database is neither made nor updated', async () => {
  const home = freshFolder()
  const env = { HOME: home, INTEGRATIONS_READ_ONLY: '1' }
  const file = join(home, '.local', 'share', 'integrations', 'integrations.db')
  expect(await runProgram(['list'], { env })).toEqual({
    code: 6,
    stdout: '',
    stderr: `error: there is no file ${file}\nhint: integrations init\n`,
  })
  expect(readdirSync(home)).toEqual([])

  expect(await runProgram(['init'], { env: { HOME: home } })).toMatchObject({ code: 0 })
  const db = sqliteDatabase(file)
  await db.query("DELETE FROM _prisma_migrations WHERE migration_name LIKE '%_integrations__keys_events'")
  const before = await contents(db)
  expect(await runProgram(['list'], { env })).toEqual({
    code: 6,
    stdout: '',
    stderr: `error: file:${file} lacks 1 of this program's migrations\nhint: integrations db migrate\n`,
  })
  expect(await contents(db)).toEqual(before)
})
