import sql, { empty } from 'sql-template-tag'
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
  withDatabase(options, (driver, session) =>
    session.snapshot(async (db) => {
      const { provider } = driver
      const state = await readState(driver)(db)
      const version = provider === 'sqlite' ? sql`sqlite_version()` : sql`current_setting('server_version')`
      const [row] = await db.query<{ version: string }>({ version }, empty)
      const counts = state.migrations.applied.length > 0 ? await count(db) : null
      return { ...state, url: displayUrl(options.database), provider, version: row?.version ?? '', counts }
    }),
  )

async function count(db: Statements): Promise<Counts> {
  type Numbers = Record<'workspaces' | 'users' | 'integrations' | 'active', bigint | number>
  const [numbers] = await db.query<Numbers>(
    {
      workspaces: sql`(SELECT count(*) FROM workspaces)`,
      users: sql`(SELECT count(*) FROM users)`,
      integrations: sql`count(*)`,
      active: sql`count(CASE WHEN ${active} THEN 1 END)`,
    },
    sql`FROM integrations i`,
  )
  const platforms = await db.queryAll<{ platform: string; n: bigint | number }>(
    { platform: sql`i.platform`, n: sql`count(*)` },
    sql`FROM integrations i GROUP BY i.platform ORDER BY i.platform`,
  )
  return {
    workspaces: Number(numbers?.workspaces),
    users: Number(numbers?.users),
    integrations: Number(numbers?.integrations),
    active: Number(numbers?.active),
    platforms: Object.fromEntries(platforms.map(({ platform, n }) => [platform, Number(n)])),
  }
}
