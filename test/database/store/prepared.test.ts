import Database from 'libsql'
import { afterEach, expect, test, vi } from 'vitest'
import { Readable } from '../../../src/store/database/sqlite/connections.ts'
import { freshDatabase } from '../../support/database.ts'

afterEach(() => vi.restoreAllMocks())

test('on sqlite, a query is prepared once, and reads what was written since, also by other tables', async () => {
  const db = await freshDatabase('sqlite')
  const prepare = vi.spyOn(Database.prototype, 'prepare')
  const connection = await new Readable(db.url.slice('file:'.length), { timeout: 0, readOnly: true }).connect()
  const read = async (sql: string, ...args: unknown[]) => {
    const argTypes = args.map(() => ({ scalarType: 'string', arity: 'scalar' }) as const)
    return (await connection.queryRaw({ sql, args, argTypes })).rows
  }
  const name = (id: string) => read('SELECT name FROM workspaces WHERE id = ?', id)
  const prepared = () => prepare.mock.calls.filter(([sql]) => sql.includes('FROM workspaces')).length
  const insert = (id: string, name: string) =>
    db.query(
      "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, ?, '2026-11-01', '2026-11-01')",
      id,
      name,
    )
  try {
    expect(await name('a')).toEqual([])
    await insert('a', 'Acme')
    await insert('b', 'Beta')
    expect([await name('a'), await name('b'), await name('c')]).toEqual([[['Acme']], [['Beta']], []])
    expect(prepared()).toBe(1)
    // One that has failed is right again.
    const least = (number: string) => read('SELECT abs(CAST(? AS INTEGER)) AS number', number)
    for (let i = 0; i < 2; i++) {
      await expect(least('-9223372036854775808')).rejects.toThrow('overflow')
      expect(await least('-7')).toEqual([[7]])
    }
    await db.query('ALTER TABLE workspaces RENAME COLUMN name TO title')
    await expect(name('a')).rejects.toThrow('name')
    await db.query('ALTER TABLE workspaces RENAME COLUMN title TO name')
    expect(await name('a')).toEqual([['Acme']])
    // None of them holds what it has read.
    await insert('d', 'Delta')
    expect(await db.query('PRAGMA wal_checkpoint(TRUNCATE)')).toEqual([{ busy: 0, log: 0, checkpointed: 0 }])
    // What is none of a query is done each time.
    for (let i = 0; i < 2; i++) {
      await connection.executeRaw({ sql: 'PRAGMA recursive_triggers = ON', args: [], argTypes: [] })
      expect(await read('PRAGMA recursive_triggers')).toEqual([[1]])
      await connection.executeScript('PRAGMA recursive_triggers = OFF')
    }
    expect(prepare.mock.calls.filter(([sql]) => sql.endsWith('ON')).length).toBe(2)
    // The last ones alone are kept.
    for (let i = 0; i < 30; i++) await read(`SELECT ${i} AS number`)
    await name('a')
    expect(prepared()).toBeGreaterThan(1)
  } finally {
    await connection.dispose()
  }
})
