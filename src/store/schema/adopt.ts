import sql from 'sql-template-tag'
import { databaseInvalid } from '../../errors.ts'
import type { Driver } from '../database/driver.ts'
import { onAdapter, type Statements } from '../database/statements.ts'
import { commandOn, displayUrl, type Provider } from '../database/url.ts'
import { baseline, ownTables } from '../migrations.ts'
import { listed, readDifferences } from './application-tables.ts'
import { showsViews } from './catalogue.ts'
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
  /** The tables of the application are views. */
  readonly areViews: boolean
  /** How many integrations have each filter in their configs; none has those that are left out. */
  readonly filters: readonly { readonly key: string; readonly integrations: number }[]
}

/** How to take over a database. */
export interface AdoptOptions {
  /** Compare, and do nothing. */
  readonly dryRun: boolean
  /** The keys of configs by which platforms choose events. */
  readonly filterKeys: readonly string[]
  /** Told of what is to come before any of it is done. */
  readonly announce: (planned: Adoption) => void
}

/**
 * Takes over a database whose workspaces, users and integrations are an application's: compares them, and adds this
 * program's own tables, in one transaction. Nothing of the application's is altered.
 *
 * @throws DATABASE_INVALID with every difference, DATABASE_OUTDATED for an empty database, DATABASE_TOO_NEW, COMMIT_UNKNOWN, NOT_PERMITTED
 */
export async function adoptDatabase(
  options: StoreOptions,
  { dryRun, filterKeys, announce }: AdoptOptions,
): Promise<Adoption> {
  refuseReadOnly(options)
  return withDatabase(options, async (driver, session) => {
    const { provider } = driver
    const plan = (db: Statements) => planAdoption(db, driver, options)
    const waitBudget = session.waitBudget()
    const planned = await session.read(async (db) => {
      const adoption = await plan(db)
      return adoption.done ? { ...adoption, filters: await readFilters(db, provider, filterKeys) } : adoption
    }, waitBudget)
    if (planned.done) announce(planned)
    if (!planned.done || dryRun) return planned
    await requireKeys(options.keys)
    const adopted = await session.retrying(async () => {
      await driver.makeDurable()
      return driver.withMigrationLock(async (adapter) => {
        const db = onAdapter(adapter, driver)
        // Read again under the lock: another process may have done it since.
        const adoption = await plan(db)
        if (!adoption.done) return adoption
        await baseline({ provider, areViews: adoption.areViews }, adapter)
        await db.execute(
          sql`UPDATE integration_settings SET value = 'adopted', updated_at = ${new Date()} WHERE key = 'database'`,
        )
        return adoption
      })
    }, waitBudget)
    if (adopted.done) options.onCommit?.()
    return { ...adopted, filters: planned.filters }
  })
}

/** What is to come of it, without doing any of it. */
async function planAdoption(
  db: Statements,
  driver: Driver,
  { database, platforms }: Pick<StoreOptions, 'database' | 'platforms'>,
): Promise<Adoption> {
  const { provider } = driver
  const state = await readState(driver)(db)
  const tables = ownTables(provider)
  const areViews = await showsViews(db, provider)
  const adoption = { tables, areViews, applicationMigrations: state.migrations.unknown, warnings: [], filters: [] }
  if (state.status === 'ready' || state.status === 'outdated') return { done: false, ...adoption }
  if (state.status !== 'unmanaged') throw refusalFor(database, state)
  const differences = await readDifferences(db, { provider, platforms }, 'unmanaged')
  const found = differences.filter(({ hinders }) => hinders !== 'nothing')
  const warnings = differences.filter(({ hinders }) => hinders === 'nothing').map(({ text }) => text)
  if (found.length === 0) return { done: true, ...adoption, warnings }
  throw databaseInvalid(
    `${displayUrl(database)} differs in ${found.length} ${found.length === 1 ? 'place' : 'places'} from what this program can share: ${listed(found)}`,
    `change the application's tables, then ${commandOn(database, 'db adopt')}; or give this program a database of its own`,
  )
}

/** Counts the integrations whose configs choose events, which the application need not have done so far. */
async function readFilters(db: Statements, provider: Provider, keys: readonly string[]): Promise<Adoption['filters']> {
  // An application may have stored any text on SQLite.
  const kindOf = (key: string) =>
    provider === 'sqlite'
      ? sql`CASE WHEN json_valid(i.config) THEN json_type(i.config, ${`$.${key}`}) END`
      : sql`jsonb_typeof(i.config -> ${key}::text)`
  const filters: { key: string; integrations: number }[] = []
  for (const key of keys) {
    const [row] = await db.query<{ n: bigint | number | string }>(
      { n: sql`count(*)` },
      sql`FROM integrations i WHERE ${kindOf(key)} = 'array'`,
    )
    if (Number(row?.n) > 0) filters.push({ key, integrations: Number(row?.n) })
  }
  return filters
}
