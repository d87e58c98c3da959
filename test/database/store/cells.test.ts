import { createClient } from '@libsql/client/sqlite3'
import sql from 'sql-template-tag'
import { describe, expect, test } from 'vitest'
import { dialect } from '../../../src/store/database/sqlite/dialect.ts'

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
