import sql, { empty } from 'sql-template-tag'
import { type IntegrationsError, is } from '../../errors.ts'
import { fileCheck } from '../database/private-files.ts'
import type { Statements } from '../database/statements.ts'
import { displayUrl, type Provider } from '../database/url.ts'
import { active } from '../tables/integration-filter.ts'
import { isHindrance, readDifferences, sharingOf, type TableDifference, tablesChanged } from './application-tables.ts'
import { type ApplicationIndex, readIndexes } from './indexes.ts'
import { type DatabaseState, readState, refusalFor, type StoreOptions, withDatabase } from './ready.ts'
import { outdatedRoles } from './roles.ts'

/** What there is in the application's tables. */
export interface Counts {
  readonly workspaces: number
  readonly users: number
  readonly integrations: number
  readonly active: number
  readonly platforms: { readonly [platform: string]: number }
}

/** A database as `db status` tells of it. */
export interface DatabaseStatus extends Omit<DatabaseState, 'status'> {
  /** `changed`: it is ready, but for tables that were changed. */
  readonly status: DatabaseState['status'] | 'changed'
  /** Its URL, without the password. */
  readonly url: string
  readonly provider: Provider
  /** Of the PostgreSQL server, or of SQLite. */
  readonly version: string
  /** In what the tables differ from what this program needs. */
  readonly differences: readonly TableDifference[]
  /** How the indexes stand that this program looks things up by. */
  readonly indexes: readonly ApplicationIndex[]
  /** The roles of `db roles` that lack rights which this version needs. */
  readonly outdatedRoles: readonly string[]
  /** What keeps it from being used, or something from being done in it; undefined when nothing does. */
  readonly reason: IntegrationsError | undefined
  /** null when the tables are not there or cannot be read, or are not known to be those of this program. */
  readonly counts: Counts | null
}

/** Reads how a database stands, whatever is in it; changes nothing. */
export function readStatus(options: StoreOptions): Promise<DatabaseStatus> {
  const requirePrivate = fileCheck(options)
  return withDatabase(options, async (driver, session) => {
    const { provider } = driver
    const {
      state,
      version,
      differences,
      indexes,
      outdatedRoles: roles,
    } = await session.snapshot(async (db) => {
      const state = await readState(driver)(db)
      const version = provider === 'sqlite' ? sql`sqlite_version()` : sql`current_setting('server_version')`
      const [row] = await db.query<{ version: string }>({ version }, empty)
      const compared =
        state.status === 'ready'
          ? await readDifferences(db, { provider, platforms: options.platforms }, sharingOf(state))
          : []
      const indexes = await readIndexes(db, driver)
      const { database } = options
      return {
        state,
        version: row?.version ?? '',
        differences: compared.filter(isHindrance),
        indexes,
        outdatedRoles: database.provider === 'postgresql' ? await outdatedRoles(db, database.schema) : [],
      }
    })
    if (state.status !== 'empty') requirePrivate(state)
    const counts = state.migrations.applied.length > 0 ? await session.snapshot(count).catch(none) : null
    const { database } = options
    const rest = { differences, indexes, outdatedRoles: roles, url: displayUrl(database), provider, version, counts }
    return differences.length > 0
      ? { ...state, ...rest, status: 'changed', reason: tablesChanged(database, differences) }
      : { ...state, ...rest, reason: refusalFor(database, state) }
  })
}

/** Nothing, for tables that cannot be read. */
function none(error: unknown): null {
  if (is(error, 'DATABASE_INVALID')) return null
  throw error
}

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
