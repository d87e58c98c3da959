import { createClient } from '@libsql/client/sqlite3'
import sql from 'sql-template-tag'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkMany } from '../../../src/operations/check/batch.ts'
import { findChosen } from '../../../src/operations/find.ts'
import { dialect } from '../../../src/store/database/sqlite/dialect.ts'
import { sqlite } from '../../../src/store/database/sqlite/sqlite.ts'
import { onAdapter } from '../../../src/store/database/statements.ts'
import { openStore } from '../../../src/store/open.ts'
import { integrationReader } from '../../../src/store/tables/integrations.ts'
import type { Page } from '../../../src/store/tables/page.ts'
import { presenceFrom } from '../../../src/store/tables/secret-metadata.ts'
import { addMany, freshDatabase, kinds } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'

describe.each(['select', 'selectPage'] as const)('%s of SQLite', (kind) => {
  test('computes each cell of a row once', async () => {
    const client = createClient({ url: ':memory:' })
    await client.executeMultiple('CREATE TABLE t (id INTEGER); CREATE TABLE u (id INTEGER)')
    const columns = [['n', sql`(SELECT count(*) FROM u WHERE u.id = t.id)`]] as const
    const { rows } = await client.execute(`EXPLAIN QUERY PLAN ${dialect[kind](columns, sql`FROM t ORDER BY t.id`).sql}`)
    expect(rows.filter(({ detail }) => String(detail).startsWith('CORRELATED'))).toHaveLength(1)
    client.close()
  })
})

test('pages of SQLite let the event loop turn, without which libsql keeps what it has prepared for each', async () => {
  const db = await freshDatabase('sqlite')
  await addMany(db, 2600)
  const store = await openStore(storeOptions(db))
  onTestFinished(() => store.close())
  let turns = 0
  let pages = 0
  await store.snapshot(async (reader) => {
    for await (const _ of reader.storedValues.pages()) {
      pages++
      setImmediate(() => turns++)
    }
  })
  expect([pages > 4, turns]).toEqual([true, pages - 1])
})

test('a check that asks no platform hands on rows as they are read, and lets the event loop turn', async () => {
  const db = await freshDatabase('sqlite')
  await addMany(db, 250)
  const store = await openStore(storeOptions(db))
  onTestFinished(() => store.close())
  const ids = await findChosen(store, { kind: 'filter', filter: {} }, ({ id }) => id)
  const handedOn: number[] = []
  let turns = 0
  await checkMany(store, ids, {
    urls: new Map(),
    wait: 0,
    fill: false,
    emit: async (rows) => {
      handedOn.push(rows.length)
      setImmediate(() => turns++)
    },
  })
  expect([handedOn, turns]).toEqual([[100, 100, 50], 2])
})

test.each(kinds)('on %s, a reference of slashes alone names nothing, however many these are', async (kind) => {
  const db = await freshDatabase(kind)
  const store = await openStore(storeOptions(db))
  onTestFinished(() => store.close())
  const value = '/'.repeat(2000)
  const found = await store.read(async ({ integrations }) => [
    await integrations.match({ by: 'path', value }, 2),
    await integrations.names(2, value),
  ])
  expect(found).toEqual([[], []])
})

describe('a list whose statements see no moment together', () => {
  /** 600 integrations by their last use; something happens before each statement for rows. */
  async function start() {
    const db = await freshDatabase('sqlite')
    await addMany(db, 600)
    await db.query('UPDATE integrations SET last_used_at = 1767225600000 + rowid')
    const driver = sqlite(db.url.slice('file:'.length), { readOnly: true })
    const adapter = await driver.connect()
    onTestFinished(() => adapter.dispose())
    const statements = onAdapter(adapter, driver, true)
    const seen: string[] = []
    const list = async (page: Partial<Page>, meanwhile: { before?: string; after?: string }) => {
      const change = async (statement: string | undefined) => {
        const last = seen.at(-1)
        if (statement && last) await db.query(`${statement} WHERE id = ?`, last)
      }
      const queryPage: typeof statements.queryPage = async (columns, rest) => {
        await change(meanwhile.before)
        return statements.queryPage(columns, rest)
      }
      const { list } = integrationReader({ ...statements, queryPage }, driver.dialect, {
        shared: false,
        presence: presenceFrom('none'),
      })
      for await (const rows of list({}, { sort: 'lastUsedAt', descending: false, ...page })) {
        seen.push(...rows.map(({ id }) => id))
        await change(meanwhile.after)
      }
    }
    return { list, seen }
  }

  test('tells that the row it had come to has lost what it is sorted by', async () => {
    const { list, seen } = await start()
    await expect(list({}, { before: 'UPDATE integrations SET last_used_at = NULL' })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: 'a row that the list had come to was removed or changed meanwhile',
    })
    expect(seen.length).toBe(500)
  })

  test('ends with its last row, whatever becomes of it', async () => {
    const { list, seen } = await start()
    await list({ limit: 10, inPages: true }, { after: 'DELETE FROM integrations' })
    expect(seen.length).toBe(10)
  })
})
