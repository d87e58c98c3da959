import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { SqlQueryable } from '@prisma/driver-adapter-utils'
import { expect, test } from 'vitest'
import type { Driver } from '../../../src/store/database/driver.ts'
import { postgresql } from '../../../src/store/database/postgresql/postgresql.ts'
import { parsePostgresqlUrl } from '../../../src/store/database/postgresql/url.ts'
import { begin, emptyPostgresql, freshDatabase } from '../../support/database.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { runInProcess } from '../../support/in-process.ts'
import { runProgram } from '../../support/program.ts'
import { refusalOf, refusingServer } from '../../support/refusing-server.ts'

const driverOf = (url: string, waitMs = 30_000) =>
  postgresql({ ...parsePostgresqlUrl(url, {}), waitMs, readOnly: false })

const query = async (on: SqlQueryable, sql: string) => (await on.queryRaw({ sql, args: [], argTypes: [] })).rows.flat()

/** Work in one transaction of a driver for changes. */
async function change<T>(driver: Driver, work: (tx: SqlQueryable) => Promise<T>): Promise<T> {
  const adapter = await driver.connectWritable()
  const transaction = await adapter.startTransaction()
  try {
    const result = await work(transaction).catch(async (error) => {
      await transaction.rollback()
      throw error
    })
    await transaction.commit()
    return result
  } finally {
    await adapter.dispose()
  }
}

test('a change that stands still is ended by the server, and a reading that stands still for an hour', async () => {
  const db = await emptyPostgresql()
  await db.query(`ALTER DATABASE "${new URL(db.url).pathname.slice(1)}" SET idle_in_transaction_session_timeout = '7s'`)
  const driver = driverOf(db.url)
  const idle = "SELECT current_setting('idle_in_transaction_session_timeout')"
  const reading = await driver.connect()
  const snapshot = await reading.startTransaction('REPEATABLE READ')
  try {
    expect({
      snapshot: await query(snapshot, idle),
      change: await change(driver, (tx) => query(tx, idle)),
      migration: await driver.withMigrationLock((adapter) => query(adapter, idle)),
    }).toEqual({ snapshot: ['1h'], change: ['10s'], migration: ['10s'] })
  } finally {
    await snapshot.rollback()
    await reading.dispose()
  }
})

test('an answer that arrived while the process was stopped is read', async () => {
  const db = await emptyPostgresql()
  const adapter = await driverOf(db.url, 1000).connect()
  await query(adapter, 'SELECT 1')
  const answer = query(adapter, 'SELECT 2')
  answer.catch(() => {})
  await turn()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000)
  expect(await answer).toEqual([2])
  await adapter.dispose()
})

test.for(['SELECT 2', 'COMMIT', 'ROLLBACK'])(
  'what a transaction has waited for is not waited again: %s',
  async (text, context) => {
    const db = await emptyPostgresql()
    const proxy = await startFaultProxy(db.url, context)
    let since = 0
    const changing = change(driverOf(proxy.url, 14_000), async (tx) => {
      await query(tx, 'SELECT 1 FROM pg_sleep(7)')
      proxy.failAt(text, 'silent')
      since = performance.now()
      if (text !== 'COMMIT') await query(tx, 'SELECT 2')
      if (text === 'ROLLBACK') throw new Error('not to be kept')
    })
    await expect(changing).rejects.toThrow()
    expect(performance.now() - since).toBeLessThan(12_000)
    expect(proxy.seen()).toBe(1)
  },
)

test('a change waits for no lock in the time that is kept for its COMMIT', async () => {
  const db = await emptyPostgresql()
  const lockTimeout = "SELECT setting::int BETWEEN 2 AND 1750 FROM pg_settings WHERE name = 'lock_timeout'"
  expect(await driverOf(db.url, 2000).withMigrationLock((adapter) => query(adapter, lockTimeout))).toEqual([true])
})

test('a change that makes steady progress may take longer than its time for waiting', async () => {
  const db = await emptyPostgresql()
  const pause = 'SELECT 1 FROM pg_sleep(0.1)'
  const changing = change(driverOf(db.url, 1000), async (tx) => {
    for (let i = 0; i < 29; i++) await query(tx, pause)
    return query(tx, pause)
  })
  expect(await changing).toEqual([1])
})

test('a server that is slow to take a shorter limit is waited for, as for any statement', async (context) => {
  const db = await emptyPostgresql()
  const proxy = await startFaultProxy(db.url, context)
  const changing = change(driverOf(proxy.url, 60_000), async (tx) => {
    proxy.doAt('SET LOCAL statement_timeout', () => sleep(2000))
    await query(tx, 'SELECT 1 FROM pg_sleep(0.6)')
    expect(proxy.seen()).toBe(1)
    return query(tx, "SELECT setting::int < 59500 FROM pg_settings WHERE name = 'statement_timeout'")
  })
  expect(await changing).toEqual([true])
})

test('of several hosts, one that connects and says nothing more is passed over when its time is up', async (context) => {
  const db = await freshDatabase('postgresql')
  const proxy = await startFaultProxy(db.url, context)
  proxy.failAt('pg_is_in_recovery', 'silent')
  const { host } = new URL(db.url)
  const silent = new URL(proxy.url).host
  const list = (hosts: string) =>
    runProgram(['list', '--wait', '3s'], { env: { DATABASE_URL: db.url.replace(host, hosts) } })
  expect(await list(`${silent},${host}`)).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await list(`${silent},${silent}`)).toMatchObject({
    code: 6,
    stderr: expect.stringMatching(/^error: \S+ did not answer in time\n/),
  })
})

test('several hosts that say nothing are asked again for as long as the command waits', async (context) => {
  const db = await freshDatabase('postgresql')
  const { host } = new URL(db.url)
  const [silent, slow] = [await startFaultProxy(db.url, context), await startFaultProxy(db.url, context)]
  silent.failAt('pg_is_in_recovery', 'silent')
  slow.doAt('pg_is_in_recovery', () => new Promise(() => {}))
  const hosts = [silent, slow].map(({ url }) => new URL(url).host).join()
  expect(await runProgram(['list', '--wait', '6s'], { env: { DATABASE_URL: db.url.replace(host, hosts) } })).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  })
})

test('of several hosts, one that refuses for another reason than the login is passed over', async () => {
  const db = await freshDatabase('postgresql')
  const { host } = new URL(db.url)
  const list = async (state: string, words: string) => {
    const refusing = `127.0.0.1:${await refusingServer(refusalOf(state, words))}`
    return runInProcess(['list'], { env: { DATABASE_URL: db.url.replace(host, `${refusing},${host}`) } })
  }
  const listed = { code: 0, stdout: '', stderr: '' }
  expect(await list('08P01', 'no more connections allowed')).toEqual(listed)
  expect(await list('57P01', 'terminating connection due to administrator command')).toEqual(listed)
  expect(await list('28P01', 'password authentication failed')).toMatchObject({ code: 4 })
  expect(await list('3D000', 'database "app" does not exist')).toMatchObject({ code: 6 })
})

test('a database that is busy when its state is read is not asked in another way', async (context) => {
  const db = await freshDatabase('postgresql')
  const proxy = await startFaultProxy(db.url, context)
  proxy.failAt('pg_tables', 'cut')
  const release = await begin(db, 'LOCK TABLE integration_settings')
  try {
    expect(await runProgram(['list', '--wait', '1s'], { env: { DATABASE_URL: proxy.url } })).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/^error: the database was busy until the time was up/),
    })
    expect(proxy.seen()).toBe(0)
  } finally {
    await release()
  }
})
