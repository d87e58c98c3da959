import type { Dialect, Driver } from '../../src/store/database/driver.ts'
import { postgresql } from '../../src/store/database/postgresql/postgresql.ts'
import { sqlite } from '../../src/store/database/sqlite/sqlite.ts'
import { onAdapter, type Statements } from '../../src/store/database/statements.ts'
import { parseDatabaseUrl } from '../../src/store/database/url.ts'
import type { TestDatabase } from './database.ts'

/** How a database goes about the statements that reading sends, one text each. What they answer is read, too. */
export async function plansOf(
  { url }: TestDatabase,
  read: (db: Statements, dialect: Dialect) => Promise<unknown>,
): Promise<string[]> {
  const database = parseDatabaseUrl(url, { cwd: '/', env: {} })
  const driver: Driver =
    database.provider === 'sqlite'
      ? sqlite(database.file, { readOnly: true })
      : postgresql({ ...database, waitMs: 10_000, readOnly: true })
  const adapter = await driver.connect()
  const plans: string[] = []
  // PostgreSQL tells which parts were not needed, too.
  const explain =
    database.provider === 'sqlite' ? 'EXPLAIN QUERY PLAN' : 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)'
  const recording = {
    ...adapter,
    executeRaw: adapter.executeRaw.bind(adapter),
    queryRaw: async (query: Parameters<typeof adapter.queryRaw>[0]) => {
      const { rows } = await adapter.queryRaw({ ...query, sql: `${explain} ${query.sql}` })
      plans.push(rows.map((row) => String(row.at(-1))).join('\n'))
      return adapter.queryRaw(query)
    },
  }
  try {
    await read(onAdapter(recording, driver), driver.dialect)
  } finally {
    await adapter.dispose()
  }
  return plans
}
