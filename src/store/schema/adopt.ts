import sql from 'sql-template-tag'
import { databaseInvalid } from '../../errors.ts'
import type { Driver } from '../database/driver.ts'
import { onAdapter, type Statements } from '../database/statements.ts'
import { commandOn, type Database, displayUrl } from '../database/url.ts'
import { baseline, ownTables } from '../migrations.ts'
import { listed, readDifferences } from './application-tables.ts'
import { readState, refusalFor, refuseReadOnly, requireKeys, type StoreOptions, withDatabase } from './ready.ts'

/** What came of taking over a database. */
export interface Adoption {
  /** Whether anything was done, or would be; false: this program's history was there already. */
  readonly done: boolean
  /** The tables that this program keeps beside the application's. */
  readonly tables: readonly string[]
  /** Names in `_prisma_migrations` that are the application's own. */
  readonly applicationMigrations: readonly string[]
  /** What hinders nothing only if the application does its part. */
  readonly warnings: readonly string[]
}

/**
 * Takes over a database whose workspaces, users and integrations are an application's: compares them, and adds this
 * program's own tables, in one transaction. Nothing of the application's is altered.
 *
 * @param dryRun compare, and do nothing
 * @throws DATABASE_INVALID with every difference, DATABASE_OUTDATED for an empty database, DATABASE_TOO_NEW, COMMIT_UNKNOWN, NOT_PERMITTED
 */
export async function adoptDatabase(options: StoreOptions, dryRun: boolean): Promise<Adoption> {
  refuseReadOnly(options)
  return withDatabase(options, async (driver, session) => {
    const { provider } = driver
    const plan = (db: Statements) => planAdoption(db, driver, options.database)
    const waitBudget = session.waitBudget()
    const planned = await session.read(plan, waitBudget)
    if (!planned.done || dryRun) return planned
    await requireKeys(options.keys)
    const adopted = await session.retrying(async () => {
      await driver.makeDurable()
      return driver.withMigrationLock(async (adapter) => {
        const db = onAdapter(adapter, driver)
        // Read again under the lock: another process may have done it since.
        const adoption = await plan(db)
        if (!adoption.done) return adoption
        await baseline(provider, adapter)
        await db.execute(
          sql`UPDATE integration_settings SET value = 'adopted', updated_at = ${new Date()} WHERE key = 'database'`,
        )
        return adoption
      })
    }, waitBudget)
    if (adopted.done) options.onCommit?.()
    return adopted
  })
}

/** What is to come of it, without doing any of it. */
async function planAdoption(db: Statements, driver: Driver, database: Database): Promise<Adoption> {
  const { provider } = driver
  const state = await readState(driver)(db)
  const tables = ownTables(provider)
  const adoption = { tables, applicationMigrations: state.migrations.unknown, warnings: [] }
  if (state.status === 'ready' || state.status === 'outdated') return { done: false, ...adoption }
  if (state.status !== 'unmanaged') throw refusalFor(database, state)
  const differences = await readDifferences(db, provider, 'unmanaged')
  const found = differences.filter(({ hinders }) => hinders !== 'nothing')
  const warnings = differences.filter(({ hinders }) => hinders === 'nothing').map(({ text }) => text)
  if (found.length === 0) return { done: true, ...adoption, warnings }
  throw databaseInvalid(
    `${displayUrl(database)} differs in ${found.length} ${found.length === 1 ? 'place' : 'places'} from what this program can share: ${listed(found)}`,
    `change the application's tables, then ${commandOn(database, 'db adopt')}; or give this program a database of its own`,
  )
}
