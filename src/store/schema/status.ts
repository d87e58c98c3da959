import sql from 'sql-template-tag'
import type { Statements } from '../database/statements.ts'
import { displayUrl, type Provider } from '../database/url.ts'
import { active } from '../tables/integration-filter.ts'
import { type DatabaseState, readState, type StoreOptions, withDatabase } from './ready.ts'

/** What there is in the application's tables. */
export interface Counts {
  readonly workspaces: number
  readonly users: number
  readonly integrations: number
  readonly active: number
  readonly platforms: { readonly [platform: string]: number }
}

/** A database as `db status` tells of it. */
export interface DatabaseStatus extends DatabaseState {
  /** Its URL, without the password. */
  readonly url: string
  readonly provider: Provider
  /** Of the PostgreSQL server, or of SQLite. */
  readonly version: string
  /** null when the tables are not there, or are not known to be those of this program. */
  readonly counts: Counts | null
}

/** Reads how a database stands, whatever is in it; changes nothing. */
export const readStatus = (options: StoreOptions): Promise<DatabaseStatus> =>
  withDatabase(options, ({ provider }, session) =>
    session.snapshot(async (db) => {
      const state = await readState(provider)(db)
      const [row] = await db.query<{ version: string }>(
        provider === 'sqlite'
          ? sql`SELECT sqlite_version() AS version`
          : sql`SELECT current_setting('server_version') AS version`,
      )
      const counts = state.migrations.applied.length > 0 ? await count(db) : null
      return { ...state, url: displayUrl(options.database), provider, version: row?.version ?? '', counts }
    }),
  )

async function count(db: Statements): Promise<Counts> {
  type Numbers = Record<'workspaces' | 'users' | 'integrations' | 'active', bigint | number>
  const [numbers] =
    await db.query<Numbers>(sql`SELECT (SELECT count(*) FROM workspaces) AS workspaces, (SELECT count(*) FROM users) AS users,
    count(*) AS integrations, count(CASE WHEN ${active} THEN 1 END) AS active FROM integrations i`)
  const platforms = await db.query<{ platform: string; n: bigint | number }>(
    sql`SELECT platform, count(*) AS n FROM integrations GROUP BY platform ORDER BY platform`,
  )
  return {
    workspaces: Number(numbers?.workspaces),
    users: Number(numbers?.users),
    integrations: Number(numbers?.integrations),
    active: Number(numbers?.active),
    platforms: Object.fromEntries(platforms.map(({ platform, n }) => [platform, Number(n)])),
  }
}
