import sql from 'sql-template-tag'
import { databaseInvalid } from '../../errors.ts'
import type { Driver } from '../database/driver.ts'
import { onAdapter, type Statements } from '../database/statements.ts'
import { commandOn, type Database, displayUrl, type Provider } from '../database/url.ts'
import { baseline, ownTables } from '../migrations.ts'
import { type CatalogueColumn, type CatalogueTable, readCatalogue } from './catalogue.ts'
import { readState, refusalFor, refuseReadOnly, type StoreOptions, withDatabase } from './ready.ts'

/** What came of taking over a database. */
export interface Adoption {
  /** Whether anything was done, or would be; false: this program's history was there already. */
  readonly done: boolean
  /** The tables that this program keeps beside the application's. */
  readonly tables: readonly string[]
  /** Names in `_prisma_migrations` that are the application's own. */
  readonly applicationMigrations: readonly string[]
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
    const patience = session.patience()
    const planned = await session.read(plan, patience)
    if (!planned.done || dryRun) return planned
    return session.retrying(async () => {
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
    }, patience)
  })
}

/** What is to come of it, without doing any of it. */
async function planAdoption(db: Statements, driver: Driver, database: Database): Promise<Adoption> {
  const { provider } = driver
  const state = await readState(driver)(db)
  const tables = ownTables(provider)
  const adoption = { tables, applicationMigrations: state.migrations.unknown }
  if (state.status === 'ready' || state.status === 'outdated') return { done: false, ...adoption }
  if (state.status !== 'unmanaged') throw refusalFor(database, state)
  const found = differences(await readCatalogue(db, provider), tables, provider)
  if (found.length === 0) return { done: true, ...adoption }
  const list = found.map((one, i) => `(${i + 1}) ${one}`).join('; ')
  throw databaseInvalid(
    `${displayUrl(database)} differs in ${found.length} ${found.length === 1 ? 'place' : 'places'} from what this program can share: ${list}`,
    `change the application's tables, then ${commandOn(database, 'db adopt')}; or give this program a database of its own`,
  )
}

interface ExpectedColumn {
  readonly type: 'text' | 'timestamp' | 'boolean' | 'jsonb'
  readonly nullable?: true
  readonly default?: 'now' | 'true'
  readonly references?: { readonly to: string; readonly onDelete: string }
}

const text: ExpectedColumn = { type: 'text' }
const optionalText: ExpectedColumn = { type: 'text', nullable: true }
const timestamp: ExpectedColumn = { type: 'timestamp' }
const optionalTimestamp: ExpectedColumn = { type: 'timestamp', nullable: true }

/** The application's tables, as far as this program knows them. All have the primary key `id`. */
const expected: { readonly [table: string]: { readonly [column: string]: ExpectedColumn } } = {
  workspaces: { id: text, name: text, created_at: timestamp, updated_at: timestamp },
  users: { id: text, email: text, name: optionalText, created_at: timestamp, updated_at: timestamp },
  integrations: {
    id: text,
    workspace_id: { type: 'text', references: { to: 'workspaces.id', onDelete: 'cascade' } },
    platform: text,
    name: text,
    webhook_secret: optionalText,
    access_token: optionalText,
    refresh_token: optionalText,
    token_expires_at: optionalTimestamp,
    slack_team_id: optionalText,
    slack_team_name: optionalText,
    slack_bot_user_id: optionalText,
    pylon_account_id: optionalText,
    is_active: { type: 'boolean', nullable: true, default: 'true' },
    config: { type: 'jsonb', nullable: true },
    last_used_at: optionalTimestamp,
    created_at: { type: 'timestamp', default: 'now' },
    created_by: { type: 'text', nullable: true, references: { to: 'users.id', onDelete: 'set null' } },
  },
}

/** What the databases call the types: on SQLite, those that our own first migration makes. */
const typeNames: Record<Provider, Record<ExpectedColumn['type'], string>> = {
  postgresql: { text: 'text', timestamp: 'timestamp without time zone', boolean: 'boolean', jsonb: 'jsonb' },
  sqlite: { text: 'TEXT', timestamp: 'DATETIME', boolean: 'BOOLEAN', jsonb: 'JSONB' },
}

/** How a database may write a default. */
const defaults = { now: ['CURRENT_TIMESTAMP', 'now()'], true: ['true', '1'] } as const

/** Rows are inserted here by this program; the other two tables it only reads in an adopted database. */
const insertedInto = 'integrations'

/** Everything that keeps an application's tables from being shared, as sentences; empty when nothing does. */
function differences(
  found: ReadonlyMap<string, CatalogueTable>,
  ownTables: readonly string[],
  provider: Provider,
): string[] {
  const list: string[] = []
  for (const [name, columns] of Object.entries(expected)) {
    const table = found.get(name)
    if (table) list.push(...tableDifferences(name, { columns, found: table }, provider))
    else list.push(`there is no table ${name}`)
  }
  for (const name of ownTables)
    if (found.has(name)) list.push(`there is a table ${name} already, which this program would make`)
  return list
}

function* tableDifferences(
  table: string,
  { columns, found }: { readonly columns: { readonly [column: string]: ExpectedColumn }; found: CatalogueTable },
  provider: Provider,
): Generator<string> {
  if (found.primaryKey !== 'id') yield `the primary key of ${table} is ${found.primaryKey || 'none'}, not id`
  for (const [name, column] of Object.entries(columns)) {
    const actual = found.columns.get(name)
    if (actual) yield* columnDifferences(`${table}.${name}`, { column, actual }, provider)
    else yield `there is no column ${table}.${name}`
    if (actual && table === insertedInto) {
      yield* defaultDifferences(`${table}.${name}`, column, actual)
      yield* referenceDifferences(`${table}.${name}`, column, found.references.get(name))
    }
  }
  if (table === 'users' && found.columns.has('email') && !found.unique.has('email')) yield 'users.email is not unique'
  if (table !== insertedInto) return
  for (const [name, column] of found.columns)
    if (!(name in columns) && !column.nullable && column.default === null)
      yield `${table}.${name}, which this program does not know, is not null and has no default`
}

function* columnDifferences(
  where: string,
  { column, actual }: { readonly column: ExpectedColumn; readonly actual: CatalogueColumn },
  provider: Provider,
): Generator<string> {
  const type = typeNames[provider][column.type]
  const bare = provider === 'sqlite' ? actual.type.toUpperCase() : actual.type.replace(/^timestamp\(\d\)/, 'timestamp')
  if (bare !== type) yield `the type of ${where} is ${actual.type || 'none'}, not ${type}`
  if (actual.nullable && !column.nullable) yield `${where} may be null`
  if (!actual.nullable && column.nullable) yield `${where} may not be null`
}

function* defaultDifferences(where: string, column: ExpectedColumn, actual: CatalogueColumn): Generator<string> {
  const accepted: readonly (string | null)[] = column.default === undefined ? [null] : defaults[column.default]
  if (!accepted.some((one) => one?.toLowerCase() === actual.default?.toLowerCase()))
    yield `the default of ${where} is ${actual.default ?? 'none'}, not ${accepted[0] ?? 'none'}`
}

function* referenceDifferences(
  where: string,
  { references }: ExpectedColumn,
  actual: { to: string; onDelete: string; onUpdate: string } | undefined,
): Generator<string> {
  if (actual?.to !== references?.to)
    yield `${where} references ${actual?.to ?? 'nothing'}, not ${references?.to ?? 'nothing'}`
  else if (actual && references) {
    if (actual.onDelete !== references.onDelete)
      yield `${where} has on delete ${actual.onDelete}, not ${references.onDelete}`
    if (actual.onUpdate !== 'no action') yield `${where} has on update ${actual.onUpdate}, not no action`
  }
}
