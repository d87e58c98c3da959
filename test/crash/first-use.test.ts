import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { amount } from '../support/crash-amounts.ts'
import { emptyPostgresql, type Kind, kinds, sqliteDatabase, type TestDatabase } from '../support/database.ts'
import { bin, freshFolder, runProgram } from '../support/program.ts'

const migrations = readdirSync('prisma/migrations/sqlite').filter((name) => /^\d{14}_integrations__/.test(name))

const newDatabase = async (kind: Kind): Promise<TestDatabase> =>
  kind === 'sqlite' ? sqliteDatabase(join(freshFolder(), 'new.db')) : emptyPostgresql()

/** The database has each migration once, and takes a change. */
async function expectUsable(db: TestDatabase, env: Record<string, string>): Promise<void> {
  expect(
    await db.query(
      'SELECT migration_name AS name, finished_at IS NOT NULL AS finished, rolled_back_at AS "rolledBack" FROM _prisma_migrations ORDER BY migration_name',
    ),
  ).toEqual(migrations.map((name) => ({ name, finished: db.kind === 'sqlite' ? 1 : true, rolledBack: null })))
  expect(await runProgram(['workspaces', 'add', 'Acme', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  expect(await db.query('SELECT name FROM workspaces')).toEqual([{ name: 'Acme' }])
}

describe.each(kinds)('first use on %s', (kind) => {
  test('eight processes at once make one database', async () => {
    const db = await newDatabase(kind)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: join(freshFolder(), 'keys.json') }
    const init = ['init', '-o', 'json', '--fields', 'database,state']
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => runProgram(init, { env })))
    expect(outcomes.filter(({ code }) => code !== 0)).toEqual([])
    const shown = kind === 'sqlite' ? db.url : db.url.replace(':postgres@', '@')
    expect(outcomes.map(({ code, stdout }) => ({ code, ...JSON.parse(stdout) }))).toEqual(
      Array(8).fill({ code: 0, database: shown, state: 'ready' }),
    )
    await expectUsable(db, env)
  })

  test('killed at any point, the next run makes it usable', async () => {
    const init = (env: Record<string, string>) =>
      spawn(process.execPath, [bin, 'init'], {
        env: { PATH: process.env.PATH ?? '', HOME: freshFolder(), ...env },
        stdio: 'ignore',
      })
    const ended = (child: ReturnType<typeof init>) =>
      new Promise<NodeJS.Signals | null>((done) => child.on('close', (_, signal) => done(signal)))
    const started = performance.now()
    await ended(init({ DATABASE_URL: (await newDatabase(kind)).url }))
    const whole = performance.now() - started
    // The schema engine leaves a timer of 10 s behind, for which the program must not stay.
    expect(whole).toBeLessThan(9_000)

    const kills = amount(4, 24)
    let killed = 0
    for (let i = 1; i <= kills; i++) {
      const db = await newDatabase(kind)
      const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: join(freshFolder(), 'keys.json') }
      const child = init(env)
      const end = ended(child)
      await sleep((whole * i) / kills)
      child.kill('SIGKILL')
      if ((await end) === 'SIGKILL') killed++
      expect(await runProgram(['init'], { env })).toMatchObject({ code: 0 })
      await expectUsable(db, env)
    }
    expect(killed).toBeGreaterThan(0)
  })
})

test('eight commands at once on the default database make it, private', async () => {
  const home = freshFolder()
  const env = { HOME: home, INTEGRATIONS_KEYS_FILE: join(home, 'keys.json') }
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, (_, i) => runProgram(i % 2 === 0 ? ['init'] : ['list'], { env })),
  )
  expect(outcomes.map(({ code }) => code)).toEqual(Array(8).fill(0))
  const folder = join(home, '.local', 'share', 'integrations')
  await expectUsable(sqliteDatabase(join(folder, 'integrations.db')), env)
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  expect(statSync(join(folder, 'integrations.db')).mode & 0o777).toBe(0o600)
})
