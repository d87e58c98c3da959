import type pg from 'pg'
import { postgresqlDatabase, type TestDatabase } from './database.ts'
import { runProgram } from './program.ts'

const roles = ['support', 'receiver', 'application', 'operator', 'key_admin'] as const
/** A role of `db roles`. */
export type Role = (typeof roles)[number]

/** Runs the SQL of `db roles`, twice as it may be, and gives each role a member that can log in. */
export async function withRoles(db: TestDatabase): Promise<Record<Role, TestDatabase>> {
  const { code, stdout, stderr } = await runProgram(['db', 'roles'], { env: { DATABASE_URL: db.url } })
  if (code !== 0) throw new Error(stderr)
  await db.query(stdout)
  await db.query(stdout)
  const logins = {} as Record<Role, TestDatabase>
  for (const role of roles) {
    const name = `${role}_${new URL(db.url).pathname.slice(1)}`
    await db.query(`CREATE ROLE ${name} LOGIN PASSWORD 'pass' IN ROLE integrations_${role}`)
    const url = new URL(db.url)
    url.username = name
    url.password = 'pass'
    logins[role] = postgresqlDatabase(url.href)
  }
  return logins
}

/** The code that a statement is refused with, as in `42501`; `allowed` for one that is not. */
export const refusal = (query: Promise<unknown>) =>
  query.then(
    () => 'allowed',
    (error: pg.DatabaseError) => error.code,
  )
