import pg from 'pg'
import { expect, test } from 'vitest'
import { IntegrationsError } from '../../../src/errors.ts'
import { Refusals } from '../../../src/receiver/refusals.ts'
import { UsageRecorder } from '../../../src/receiver/usage.ts'
import type { UsageWriter } from '../../../src/store/activity/usage.ts'
import { openStore } from '../../../src/store/open.ts'
import type { Store } from '../../../src/store/store.ts'
import { integrationId } from '../../support/brands.ts'
import { type Kind, kinds, type TestDatabase } from '../../support/database.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { storeOptions } from '../../support/keyring.ts'
import { add, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'

/** Without a report, which needs keys. */
const reporting = {
  limits: { remember: 5, stale: 300 },
  refusals: new Refusals(),
  keyring: () => Promise.reject(new Error('no keys')),
}

test.each(kinds)('on %s, a match is counted once, however often it is tried to write it', async (kind) => {
  const { db, store } = await start(kind)
  const id = await add(store, 'support', signingSecret(1))
  for (const n of [2, 3, 4]) await rotate(store, id, signingSecret(n), 60_000)
  const failed: number[] = []
  const once = (number: number) => {
    if (failed.includes(number)) return false
    failed.push(number)
    return true
  }
  const failing: Store = {
    ...store,
    recordUsage: async (work) => {
      let after: Error | undefined
      const result = await store.recordUsage((writer) =>
        work({
          ...writer,
          used: async (uses, mayCount) => {
            const fails = (number: number) => uses.some((use) => use.number === number) && once(number)
            // Somebody holds the database: for a moment, or until the time is up.
            if (fails(2)) throw Object.assign(new Error('held'), { code: 'SQLITE_BUSY' })
            if (fails(3))
              throw new IntegrationsError({ code: 'DATABASE_BUSY', message: 'held until the time was up', hint: '' })
            const left = await writer.used(uses, mayCount)
            // It was written, and nobody is told.
            if (fails(4)) after = new IntegrationsError({ code: 'DATABASE_UNREACHABLE', message: 'lost', hint: '' })
            return left
          },
        }),
      )
      if (after) throw after
      return result
    },
  }
  const problems: unknown[] = []
  const usage = new UsageRecorder({
    store: failing,
    onError: (error) => problems.push((error as { code: string }).code),
    ...reporting,
  })
  const at = new Date('2026-01-02T03:04:05.000Z')
  for (const number of [1, 2, 3, 4]) usage.record({ id: integrationId(id), number, count: 1, lastAt: at })
  await expect.poll(() => problems, { timeout: 10_000 }).toEqual(['DATABASE_BUSY'])
  // What is left waits for its minute, or for this.
  await usage.flush()
  expect(problems).toEqual(['DATABASE_BUSY', 'DATABASE_UNREACHABLE'])
  await usage.close()
  const rows = await db.query(
    'SELECT number, match_count, last_matched_at IS NOT NULL AS matched FROM integration_secrets ORDER BY number',
  )
  expect(rows.map(({ number, match_count, matched }) => [number, match_count, Boolean(matched)])).toEqual([
    [1, 1, true],
    [2, 1, true],
    [3, 1, true],
    [4, 1, true],
  ])
})

test('a write that the database does not answer is abandoned and told of, and the others go on', async () => {
  const { db, store } = await start('sqlite')
  const ids = [await add(store, 'a', signingSecret(1)), await add(store, 'b', signingSecret(2))]
  let silent = true
  let answer = () => {}
  let answered: Promise<unknown> | undefined
  const silence: Store = {
    ...store,
    recordUsage: (work) => {
      const isSilent = silent
      const write = async () => {
        if (isSilent) await new Promise<void>((resolve) => (answer = resolve))
        return store.recordUsage(work)
      }
      const writing = write()
      if (isSilent) answered ??= writing
      return writing
    },
  }
  const problems: unknown[] = []
  const usage = new UsageRecorder({
    store: silence,
    onError: (error) => problems.push((error as { code: string }).code),
    ...reporting,
    deadlineMs: 300,
  })
  const at = new Date('2026-01-02T03:04:05.000Z')
  const record = () => {
    for (const id of ids) usage.record({ id: integrationId(id), number: 1, count: 1, lastAt: at })
  }
  const counts = async () => {
    const rows = await db.query('SELECT match_count, last_matched_at FROM integration_secrets ORDER BY integration_id')
    const byId = [...ids].sort()
    return ids.map((id) => [rows[byId.indexOf(id)]?.match_count, rows[byId.indexOf(id)]?.last_matched_at !== null])
  }
  record()
  await usage.flush()
  expect([problems, await counts()]).toEqual([
    ['DATABASE_UNREACHABLE'],
    [
      [0, false],
      [0, false],
    ],
  ])
  silent = false
  record()
  await usage.flush()
  // The abandoned write had sent no counts, and sends none any more.
  const written = [
    [2, true],
    [2, true],
  ]
  expect([problems, await counts()]).toEqual([['DATABASE_UNREACHABLE'], written])
  answer()
  await answered
  expect(await counts()).toEqual(written)
  silent = true
  record()
  // Nor does the end wait for ever.
  await usage.close()
  expect(problems).toEqual(['DATABASE_UNREACHABLE', 'DATABASE_UNREACHABLE'])
})

test('a connection that is refused takes no counts along, and one that is lost while they are sent takes them', async (context) => {
  const { db, store } = await start('postgresql')
  const id = await add(store, 'support', signingSecret(1))
  const proxy = await startFaultProxy(db.url, context)
  const through = await openStore(storeOptions({ url: proxy.url }))
  context.onTestFinished(through.close)
  const problems: unknown[] = []
  const onError = (error: unknown) => problems.push((error as { code: string }).code)
  const usage = new UsageRecorder({ store: through, onError, ...reporting })
  const use = () => usage.record({ id: integrationId(id), number: 1, count: 3, lastAt: at })
  const counts = async () =>
    (await db.query('SELECT match_count FROM integration_secrets')).map((row) => row.match_count)
  use()
  proxy.failAt('UPDATE integrations ', 'cut')
  await usage.flush()
  proxy.failAt('', 'cut')
  await usage.flush()
  expect([problems, await counts()]).toEqual([['DATABASE_UNREACHABLE', 'DATABASE_UNREACHABLE'], [0]])
  proxy.pass()
  await usage.flush()
  expect(await counts()).toEqual([3])
  use()
  proxy.failAt('UPDATE integration_secrets ', 'cut')
  await usage.flush()
  proxy.pass()
  await usage.close()
  expect([problems.length, await counts()]).toEqual([3, [3]])
})

test('a silent database has one write waiting for it, however long that takes, and none once the receiver is closed', async () => {
  const writes: (() => void)[] = []
  const silent = {
    recordUsage: () => new Promise<never>((_, reject) => writes.push(() => reject(new Error('late')))),
  } as Partial<Store> as Store
  const problems: unknown[] = []
  const onError = (error: unknown) => problems.push((error as { code: string }).code)
  const usage = new UsageRecorder({ store: silent, onError, ...reporting })
  const lastAt = new Date('2026-01-02T03:04:05.000Z')
  const record = (name: string) => usage.record({ id: integrationId(name), number: 1, count: 1, lastAt })
  record('a')
  // Seconds pass, which look whether a write is due, and the application asks for writes.
  await expect.poll(() => writes.length, { timeout: 10_000 }).toBe(1)
  await Promise.all([usage.flush(3000), usage.flush(3000)])
  record('b')
  await usage.close(100)
  expect([problems, writes.length]).toEqual([Array(3).fill('DATABASE_UNREACHABLE'), 1])
  for (const answer of writes) answer()
  await usage.flush()
  expect(writes.length).toBe(1)
})

test.each(['DATABASE_READ_ONLY', 'NOT_PERMITTED', 'DATABASE_INVALID'] as const)(
  'matches are kept that %s keeps from being written',
  async (code) => {
    const written: unknown[] = []
    let failing = true
    const store = {
      recordUsage: async (work) => {
        if (failing) throw new IntegrationsError({ code, message: 'not now', hint: '' })
        const unused = async () => {}
        const used: UsageWriter['used'] = async (uses) => {
          written.push(...uses.map(({ id, count }) => [id, count]))
          return []
        }
        return work({ report: unused, withdraw: unused, refused: unused, used })
      },
    } as Partial<Store> as Store
    const problems: unknown[] = []
    const usage = new UsageRecorder({ store, onError: (error) => problems.push(error), ...reporting })
    const ids = ['a', 'b'].map(integrationId)
    for (const id of ids) usage.record({ id, number: 1, count: 2, lastAt: new Date() })
    await usage.flush()
    // A database that can only be read is not asked again for each.
    expect(problems.length).toBe(code === 'DATABASE_READ_ONLY' ? 1 : 2)
    failing = false
    await usage.close()
    expect(written.sort()).toEqual(ids.map((id) => [id, 2]))
  },
)

const at = new Date('2026-01-02T03:04:05.000Z')
const written = (db: TestDatabase) =>
  db.query(`SELECT i.name, s.match_count AS count, i.last_used_at IS NOT NULL AS used, s.last_matched_at IS NOT NULL AS matched
    FROM integrations i JOIN integration_secrets s ON s.integration_id = i.id WHERE s.match_count > 0 OR i.last_used_at IS NOT NULL ORDER BY i.name`)
const row = (kind: Kind, name: string, count: number) =>
  kind === 'sqlite' ? { name, count, used: 1, matched: 1 } : { name, count, used: true, matched: true }

test.each(kinds)('on %s, the uses of hundreds of integrations are written at once, none twice', async (kind) => {
  const { db, store } = await start(kind)
  await add(store, 'support', signingSecret(1))
  const names = Array.from({ length: 600 }, (_, i) => `n${String(i).padStart(3, '0')}`)
  for (const table of ['integrations', 'integration_secrets'])
    await copyRow(db, table, table === 'integrations' ? 'id' : 'integration_id', names)
  // Another endpoint knows of a later use, and of an earlier one.
  await db.query(`UPDATE integrations SET last_used_at = '2026-02-01 00:00:00' WHERE id = 'n001'`)
  await db.query(
    `UPDATE integration_secrets SET last_matched_at = '2026-02-01 00:00:00', match_count = 5 WHERE integration_id = 'n001'`,
  )
  await db.query(`UPDATE integrations SET last_used_at = '2025-02-01 00:00:00' WHERE id = 'n002'`)
  let writes = 0
  const counting: Store = {
    ...store,
    recordUsage: (work) => {
      writes++
      return store.recordUsage(work)
    },
  }
  const usage = new UsageRecorder({ store: counting, onError: (error) => expect.fail(String(error)), ...reporting })
  for (const [i, id] of [...names, 'gone'].entries())
    usage.record({ id: integrationId(id), number: 1, count: i + 1, lastAt: at })
  await usage.close()
  expect(await written(db)).toEqual(names.map((name, i) => row(kind, name, i === 1 ? 7 : i + 1)))
  const year = kind === 'sqlite' ? 'substr(last_used_at, 1, 19)' : "to_char(last_used_at, 'YYYY-MM-DD HH24:MI:SS')"
  expect(
    await db.query(
      `SELECT DISTINCT id = 'n001' AS later, replace(${year}, 'T', ' ') AS at FROM integrations WHERE id LIKE 'n%' ORDER BY at`,
    ),
  ).toEqual([
    { later: kind === 'sqlite' ? 0 : false, at: '2026-01-02 03:04:05' },
    { later: kind === 'sqlite' ? 1 : true, at: '2026-02-01 00:00:00' },
  ])
  // One that is gone is not tried again.
  expect(writes).toBe(3)
})

test.each(kinds)('on %s, a use that the database refuses does not keep the others from being written', async (kind) => {
  const { db, store } = await start(kind)
  const ids = []
  for (const name of ['a', 'b', 'c']) ids.push(await add(store, name, signingSecret(ids.length)))
  await refuseUseOf(db, ids[1] ?? '')
  const problems: unknown[] = []
  const usage = new UsageRecorder({ store, onError: (error) => problems.push(error), ...reporting })
  for (const id of ids) usage.record({ id: integrationId(id), number: 1, count: 1, lastAt: at })
  await usage.flush()
  expect([problems.length, await written(db)]).toEqual([1, [row(kind, 'a', 1), row(kind, 'c', 1)]])
  await db.query(`DROP TRIGGER refuse${kind === 'sqlite' ? '' : ' ON integrations'}`)
  await usage.close()
  expect([problems.length, await written(db)]).toEqual([1, ['a', 'b', 'c'].map((name) => row(kind, name, 1))])
})

test.each(['integrations', 'integration_secrets'])(
  'uses are written while another transaction holds a row of %s, and wait for it while they hold none',
  async (table) => {
    const { db, store } = await start('postgresql')
    const ids = []
    for (const name of ['a', 'b', 'c']) ids.push(await add(store, name, signingSecret(ids.length)))
    const [first = '', second = ''] = [...ids].sort()
    const other = new pg.Client(db.url)
    await other.connect()
    const column = table === 'integrations' ? 'id' : 'integration_id'
    await other.query(`BEGIN; UPDATE ${table} SET ${column} = ${column} WHERE ${column} = '${second}'`)
    const usage = new UsageRecorder({ store, onError: (error) => expect.fail(String(error)), ...reporting })
    for (const id of ids) usage.record({ id: integrationId(id), number: 1, count: 1, lastAt: at })
    const flushed = usage.flush()
    const counts = () => db.query('SELECT match_count FROM integration_secrets ORDER BY integration_id')
    await expect.poll(counts).toEqual([1, 0, 1].map((match_count) => ({ match_count })))
    // That transaction goes on to a row that the others would hold.
    await other.query(`UPDATE ${table} SET ${column} = ${column} WHERE ${column} = '${first}'; COMMIT`)
    await flushed
    expect(await counts()).toEqual([1, 1, 1].map((match_count) => ({ match_count })))
    await usage.close()
    await other.end()
  },
)

/** Copies the only row of a table, with names in the place of its id. */
async function copyRow(db: TestDatabase, table: string, id: string, names: readonly string[]): Promise<void> {
  const [only = {}] = await db.query(`SELECT * FROM ${table}`)
  const columns = Object.keys(only)
  const copied = columns.map((column) => (column === id || column === 'name' ? 'n.name' : `t.${column}`))
  await db.query(
    `WITH n (name) AS (VALUES ${names.map((name) => `('${name}')`).join()}) INSERT INTO ${table} (${columns}) SELECT ${copied} FROM ${table} t, n`,
  )
}

async function refuseUseOf(db: TestDatabase, id: string): Promise<void> {
  if (db.kind === 'sqlite')
    await db.query(
      `CREATE TRIGGER refuse BEFORE UPDATE ON integrations WHEN NEW.id = '${id}' BEGIN SELECT RAISE(ABORT, 'no'); END`,
    )
  else {
    await db.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'`)
    await db.query(
      `CREATE TRIGGER refuse BEFORE UPDATE ON integrations FOR EACH ROW WHEN (NEW.id = '${id}') EXECUTE FUNCTION refuse()`,
    )
  }
}
