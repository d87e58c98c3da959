import type { TestDatabase } from './database.ts'

/** Copies the only integration of a database, so that there are so many, with names from `n00000` on. Nothing records the copies. */
export async function seedIntegrations(db: TestDatabase, count: number): Promise<void> {
  const number = db.kind === 'sqlite' ? "printf('n%05d', n)" : "'n' || lpad(n::text, 5, '0')"
  const names = `(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ${count}) SELECT ${number} AS name FROM numbers)`
  for (const [table, id] of [
    ['integrations', 'id'],
    ['integration_versions', 'integration_id'],
    ['integration_secrets', 'integration_id'],
  ] as const) {
    const [only = {}] = await db.query(`SELECT * FROM ${table}`)
    const columns = Object.keys(only)
    const copied = columns.map((column) => (column === id || column === 'name' ? 'copy.name' : `t.${column}`))
    await db.query(`INSERT INTO ${table} (${columns}) SELECT ${copied} FROM ${table} t CROSS JOIN ${names} copy`)
  }
}
