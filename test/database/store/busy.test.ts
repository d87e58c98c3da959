import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@libsql/client/sqlite3'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../../support/database.ts'
import { freshFolder, runProgram } from '../../support/program.ts'
import { failed } from '../../support/told.ts'

/** Takes what every change needs first, as another process that is changing something; the answer lets it go. */
async function hold(db: TestDatabase): Promise<() => Promise<void>> {
  const head = "UPDATE integration_settings SET seq = seq WHERE key = 'head'"
  if (db.kind === 'sqlite') {
    const client = createClient({ url: db.url })
    const transaction = await client.transaction('write')
    await transaction.execute(head)
    return async () => {
      await transaction.rollback()
      client.close()
    }
  }
  const client = new pg.Client({ connectionString: db.url, application_name: 'billing' })
  await client.connect()
  await client.query('BEGIN')
  await client.query(head)
  return async () => {
    await client.query('ROLLBACK')
    await client.end()
  }
}

// Loaded before the program: writes, when it ends, for how many milliseconds its event loop stood still at most while it
// had nothing to do. What Linux tells of its main thread, how long it ran and waited for a core, does not count: that is
// the work of others on the machine, or its own.
const watch = `data:text/javascript,${encodeURIComponent(`import { readFileSync, writeFileSync } from 'node:fs'
const busy = () => {
  try {
    const [ran, waited] = readFileSync('/proc/self/task/' + process.pid + '/schedstat', 'utf8').split(' ')
    return (Number(ran) + Number(waited)) / 1e6
  } catch {
    return 0
  }
}
let longest = 0
let last = { before: busy(), at: performance.now() }
const look = () => {
  const next = { before: busy(), at: performance.now() }
  longest = Math.max(longest, next.at - last.at - (busy() - last.before))
  last = next
}
setInterval(look, 10).unref()
process.on('exit', () => {
  look()
  writeFileSync(process.env.LONGEST, String(longest))
})`)}`

const names = (db: TestDatabase) => db.query('SELECT name FROM workspaces')

describe.each(kinds)('while somebody else holds the lock on %s', (kind) => {
  test('a change waits without stopping the event loop, and is made', async () => {
    const db = await freshDatabase(kind)
    const longest = join(freshFolder(), 'longest')
    const release = await hold(db)
    const change = runProgram(['workspaces', 'add', 'Acme', '-o', 'id'], {
      env: { DATABASE_URL: db.url, NODE_OPTIONS: `--import=${watch}`, LONGEST: longest },
    })
    await sleep(3000)
    expect(await names(db)).toEqual([])
    await release()
    expect(await change).toMatchObject({ code: 0 })
    expect(await names(db)).toEqual([{ name: 'Acme' }])
    expect(Number(readFileSync(longest, 'utf8'))).toBeLessThan(200)
  })

  test('a change is given up when its time is up, with nothing changed', async () => {
    const db = await freshDatabase(kind)
    const head = () => db.query("SELECT seq, value FROM integration_settings WHERE key = 'head'")
    const before = await head()
    const release = await hold(db)
    const holder =
      kind === 'sqlite'
        ? ''
        : (
            await db.query(`SELECT format(': process %s ("billing") may hold the lock, in a transaction since %s', pid,
              to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AS text
              FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'billing'`)
          ).map(({ text }) => text)
    const started = performance.now()
    expect(
      await runProgram(['workspaces', 'add', 'Acme', '--wait', '1s', '-o', 'json'], {
        env: { DATABASE_URL: db.url },
      }),
    ).toEqual({
      code: 6,
      stdout: '',
      stderr: failed({
        code: 'DATABASE_BUSY',
        message: `the database was busy until the time was up${holder}`,
        hint: 'try again, or wait longer with --wait 2m',
        exit: 6,
        retryable: true,
        committed: false,
      }),
    })
    expect(performance.now() - started).toBeLessThan(10_000)
    await release()
    expect(await names(db)).toEqual([])
    expect(await head()).toEqual(before)
  })
})

test('of several sessions with locks, the answer names the session that others wait for', async () => {
  const db = await freshDatabase('postgresql')
  const sessions = await Promise.all(
    ['report', 'billing', 'desk'].map(async (application_name) => {
      const client = new pg.Client({ connectionString: db.url, application_name })
      await client.connect()
      return client
    }),
  )
  const [report, billing, desk] = sessions
  // The older blocks nobody.
  await report?.query('BEGIN; UPDATE users SET name = name WHERE false')
  await billing?.query('BEGIN; LOCK TABLE workspaces IN EXCLUSIVE MODE')
  const waiting = desk?.query('UPDATE workspaces SET name = name WHERE false')
  try {
    expect(await runProgram(['workspaces', 'add', 'Acme', '--wait', '1s'], { env: { DATABASE_URL: db.url } })).toEqual({
      code: 6,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: the database was busy until the time was up: process \d+ \("billing"\) holds the lock, in a transaction since [\dT:.-]+Z\n/,
      ),
    })
  } finally {
    await billing?.query('ROLLBACK')
    await waiting
    for (const client of sessions) await client.end()
  }
  expect(await names(db)).toEqual([])
})

test('what opening has waited for, the change does not wait for again', async () => {
  const db = await freshDatabase('postgresql')
  const sessions = [new pg.Client({ connectionString: db.url }), new pg.Client({ connectionString: db.url })] as const
  const [opening, change] = sessions
  for (const client of sessions) await client.connect()
  await opening.query('BEGIN; LOCK TABLE integration_settings')
  // Comes next, and stays.
  const next = change.query("BEGIN; UPDATE integration_settings SET seq = seq WHERE key = 'head'")
  const started = performance.now()
  const run = runProgram(['workspaces', 'add', 'Acme', '--wait', '12s'], { env: { DATABASE_URL: db.url } })
  await sleep(10_000)
  await opening.query('ROLLBACK')
  await next
  expect(await run).toMatchObject({ code: 6, stderr: expect.stringMatching(/^error: the database was busy until/) })
  expect(performance.now() - started).toBeLessThan(20_000)
  for (const client of sessions) await client.end()
  expect(await names(db)).toEqual([])
})

test('what is added waits for a row that the application has locked, in as many tries as it takes', async () => {
  const db = await freshDatabase('postgresql')
  await runProgram(['workspaces', 'add', 'Acme'], { env: { DATABASE_URL: db.url } })
  const application = new pg.Client({ connectionString: db.url })
  await application.connect()
  await application.query('BEGIN; SELECT 1 FROM workspaces FOR UPDATE')
  const added = runProgram(['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'desk', '--wait', '1m'], {
    env: { DATABASE_URL: db.url },
  })
  // A try waits for a lock for two seconds.
  await sleep(5000)
  await application.query('ROLLBACK')
  await application.end()
  expect(await added).toMatchObject({ code: 0 })
  expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'desk' }])
})
