import { setImmediate as turn } from 'node:timers/promises'
import sql from 'sql-template-tag'
import { expect, test } from 'vitest'
import { postgresql } from '../../../src/store/database/postgresql/postgresql.ts'
import { sqlite } from '../../../src/store/database/sqlite/sqlite.ts'
import { onAdapter } from '../../../src/store/database/statements.ts'
import { parseDatabaseUrl } from '../../../src/store/database/url.ts'
import { freshDatabase, kinds } from '../../support/database.ts'

test.each(kinds)('on %s, the parts of a table are all of it, and other work has its turn between two', async (kind) => {
  const db = await freshDatabase(kind)
  const numbers = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12001) SELECT i FROM n'
  await db.query('CREATE TABLE many (id INTEGER)')
  await db.query(`INSERT INTO many ${numbers}`)
  await db.query('DELETE FROM many WHERE id BETWEEN 100 AND 6000')
  // SQLite gives its rows no numbers.
  await db.query(`CREATE TABLE bare (id INTEGER PRIMARY KEY) ${kind === 'sqlite' ? 'WITHOUT ROWID' : ''}`)
  await db.query(`INSERT INTO bare ${numbers}`)
  await db.query('CREATE TABLE none (id INTEGER)')
  await db.query('CREATE VIEW seen AS SELECT id FROM bare')
  const database = parseDatabaseUrl(db.url, { cwd: '/', env: {} })
  const driver =
    database.provider === 'sqlite'
      ? sqlite(database.file, { readOnly: true })
      : postgresql({ ...database, waitMs: 10_000, readOnly: true })
  const adapter = await driver.connect()
  let turns = 0
  let isOver = false
  const others = (async () => {
    for (; !isOver; turns++) await turn()
  })()
  const statements = onAdapter(adapter, driver)
  const partsOf = async (table: string) => {
    const counts: number[] = []
    const turnsBefore = turns
    for await (const part of driver.dialect.parts(statements, table)) {
      const [row] = await statements.query<{ n: number }>({ n: sql`count(DISTINCT part.id)` }, sql`FROM ${part} part`)
      counts.push(Number(row?.n))
    }
    return { counts, hadTurns: turns - turnsBefore >= counts.length }
  }
  try {
    const counts = async (table: string) => (await partsOf(table)).counts
    expect([await partsOf('many'), await counts('bare'), await counts('seen'), await counts('none')]).toEqual(
      kind === 'sqlite'
        ? [{ counts: [5000, 1100], hadTurns: true }, [12_001], [12_001], []]
        : [{ counts: [6100], hadTurns: true }, [12_001], [12_001], [0]],
    )
  } finally {
    isOver = true
    await others
    await adapter.dispose()
  }
})
