import sql, { empty, join } from 'sql-template-tag'
import { keyFor, purposes } from '../../crypto/key-set.ts'
import type { KeySource } from '../../crypto/key-source.ts'
import { IntegrationsError } from '../../errors.ts'
import type { Processes } from '../../processes.ts'
import type { WaitBudget } from '../../wait-budget.ts'
import type { Attribution } from '../audit/events.ts'
import type { Driver } from '../database/driver.ts'
import { databaseError } from '../database/errors.ts'
import { fileCheck } from '../database/private-files.ts'
import { createSession, type Session } from '../database/session.ts'
import { createFile, fileExists } from '../database/sqlite/file.ts'
import { onAdapter, type Statements } from '../database/statements.ts'
import { saysOtherTables } from '../database/symptoms.ts'
import { commandOn, type Database, displayUrl, type Provider } from '../database/url.ts'
import { applyMigrations, type MigrationState, migrationState } from '../migrations.ts'
import { type PresenceSource, presenceSource } from '../tables/secret-metadata.ts'
import { applicationTables } from './application-tables.ts'
import { showsViews } from './catalogue.ts'
import { type Ownership, ownership, readOwnership } from './ownership.ts'
import { noSearchPath, refuseOtherSchema, type SearchPath, searchPath } from './search-path.ts'

/** How to open a database. */
export interface StoreOptions {
  readonly database: Database
  /** How long to go on when the database is busy, in milliseconds. */
  readonly wait: number
  /** The time that all that is done with the database shares; else each work has the whole time. */
  readonly waitBudget?: WaitBudget | undefined
  /** Leave every wait for a lock to timers, and begin no process, so that a database never stops the event loop. */
  readonly neverBlock?: boolean
  /** Told of a database file of this program that others can read, which is refused otherwise. */
  readonly onReadable?: (error: IntegrationsError) => void
  /** Whether to make what is missing: a file, a migration. */
  readonly create: boolean
  /** Told what was made, for people. */
  readonly notice: (text: string) => void
  /** Told of every change that the user asked for and that was committed. */
  readonly onCommit?: () => void
  /** Nothing may be changed. */
  readonly readOnly: boolean
  readonly keys: KeySource
  /** The ids of the platforms, each of which an application's own type has to take. */
  readonly platforms: readonly string[]
  readonly attribution: Attribution
  /** The id of the user that this process runs as; undefined on systems without any. */
  readonly me?: number | undefined
  /** The processes that wait for their turn on SQLite; absent: this one lets chance decide. */
  readonly processes?: Processes
}

/** How a database stands to this program; it need not have any table. */
export interface DatabaseState extends Ownership {
  /** `unmanaged`: it has tables, and this program has never been here. */
  readonly status: 'ready' | 'empty' | 'unmanaged' | 'outdated' | 'newer'
  readonly migrations: MigrationState
  /** What tells which secrets there are. */
  readonly presence: PresenceSource
}

/**
 * Connects to a database as it is, for as long as `work` takes.
 *
 * @throws DATABASE_MISSING for a file that is not there and may not be made, and whatever `work` throws
 */
export async function withDatabase<T>(
  options: StoreOptions,
  work: (driver: Driver, session: Session) => Promise<T>,
): Promise<T> {
  const driver = await openDriver(options)
  const session = createSession({ ...options, driver })
  try {
    return await work(driver, session)
  } finally {
    await session.close()
  }
}

/** The driver of a database, which connects when it is first used; a file is made once the key set can be read. @throws DATABASE_MISSING for a file that is not there and may not be made, and what the key source throws */
export async function openDriver(options: StoreOptions): Promise<Driver> {
  const { database, create, wait, neverBlock, notice, readOnly, processes } = options
  if (database.provider === 'postgresql') {
    const { postgresql } = await import('../database/postgresql/postgresql.ts')
    return postgresql({ ...database, waitMs: wait, readOnly, neverBlock })
  }
  const { sqlite } = await import('../database/sqlite/sqlite.ts')
  if (!fileExists(database.file)) {
    if (!create)
      throw new IntegrationsError({
        code: 'DATABASE_MISSING',
        message: `there is no file ${database.file}`,
        hint: commandOn(database, 'init'),
      })
    await requireKeys(options.keys)
    try {
      createFile(database.file)
    } catch (error) {
      throw databaseError(error, database)
    }
    notice(`created ${database.file}`)
  }
  return sqlite(database.file, { readOnly, neverBlock, processes })
}

/** Looks at the key set before a database is made or taken over: its secrets could not be kept without. @throws KEYS_MISSING, KEYS_INVALID */
export async function requireKeys(keys: KeySource): Promise<void> {
  const set = await keys.load(undefined)
  if (purposes.some((purpose) => !keyFor(set, purpose))) await keys.add([])
}

/** Refuses a change where none may be made, before anything is looked at. @throws NOT_PERMITTED */
export function refuseReadOnly({ readOnly }: Pick<StoreOptions, 'readOnly'>): void {
  if (readOnly)
    throw new IntegrationsError({
      code: 'NOT_PERMITTED',
      message: 'nothing may be changed or recorded: --read-only or INTEGRATIONS_READ_ONLY is set',
      hint: 'leave it out to do this',
    })
}

/** Reads how a database stands. @throws DATABASE_MISSING when the schema that its URL names is not there */
export const readState =
  ({ provider, namesSchema }: Pick<Driver, 'provider' | 'namesSchema'>) =>
  async (db: Statements): Promise<DatabaseState> => {
    const there = await listTables(db, provider)
    if (!namesSchema) refuseOtherSchema((await db.query(searchPath, empty))[0])
    const migrations = migrationState(provider, there.history ? await appliedMigrations(db) : [])
    const { others, presence } = there
    return { status: statusOf(migrations, others), migrations, presence, ...(await readOwnership(db, migrations)) }
  }

/**
 * Reads how a database stands by one statement, which only a database that was initialised or adopted can run.
 *
 * @returns undefined when it has to be looked at more closely
 */
export const readStateFast =
  ({ provider, dialect, namesSchema }: Driver) =>
  async (db: Statements): Promise<DatabaseState | undefined> => {
    const setting = (key: string) => sql`LEFT JOIN integration_settings ${sql([key])} ON ${sql([key])}.key = ${key}`
    const [row] = await db
      .query<{ names: string | null; kind: string | null; mode: string | null; presence: PresenceSource } & SearchPath>(
        {
          ...(namesSchema ? noSearchPath : searchPath),
          names: dialect.jsonRows([sql`m.migration_name`], applied),
          kind: sql`database.value`,
          mode: sql`sealing.value`,
          presence: presenceSource(provider),
        },
        sql`FROM (SELECT 1 AS one) o ${setting('database')} ${setting('sealing')}`,
      )
      .catch((error) => {
        // Nothing else would fare better when asked once more.
        if (!saysOtherTables(error)) throw error
        return []
      })
    if (!row) return undefined
    refuseOtherSchema(row)
    const migrations = migrationState(provider, (JSON.parse(row.names ?? '[]') as [string][]).flat())
    return {
      status: statusOf(migrations, true),
      migrations,
      presence: row.presence,
      ...ownership(row.kind, row.mode),
    }
  }

/** What keeps a database from being used as it is; undefined when it is ready. */
export function refusalFor(
  database: Database,
  { status, migrations: { pending } }: DatabaseState,
): IntegrationsError | undefined {
  const where = displayUrl(database)
  switch (status) {
    case 'ready':
      return undefined
    case 'newer':
      return new IntegrationsError({
        code: 'DATABASE_TOO_NEW',
        message: `a newer version of integrations has changed ${where}`,
        hint: 'upgrade the integrations command to a newer version',
      })
    case 'outdated':
      return outdated(
        `${where} lacks ${pending.length} of this program's migrations`,
        commandOn(database, 'db migrate'),
      )
    case 'empty':
      return outdated(`${where} is empty`, commandOn(database, 'init'))
    case 'unmanaged':
      return outdated(`${where} has tables that this program did not make`, commandOn(database, 'db adopt'))
  }
}

const outdated = (message: string, hint: string) => new IntegrationsError({ code: 'DATABASE_OUTDATED', message, hint })

/**
 * Brings a database up to date that was seen to be this program's, in one transaction that no other process can begin
 * meanwhile.
 *
 * @returns the names of the migrations applied
 * @throws DATABASE_TOO_NEW, DATABASE_OUTDATED when its tables are an application's, COMMIT_UNKNOWN
 */
export async function migrate(driver: Driver, database: Database): Promise<readonly string[]> {
  await driver.makeDurable()
  return driver.withMigrationLock(async (adapter) => {
    // Read again under the lock: another process may have done it since.
    const state = await readState(driver)(onAdapter(adapter, driver))
    refuseUnmanaged(database, state)
    if (state.status === 'ready') return []
    const { provider } = driver
    const areViews = await showsViews(onAdapter(adapter, driver), provider)
    return applyMigrations({ provider, areViews }, adapter, state)
  })
}

/**
 * Brings a database up to date, as `db migrate`.
 *
 * @param dryRun apply nothing
 * @returns the names of the migrations applied, or that would be; none when it was ready
 * @throws NOT_PERMITTED, and as `migrate`
 */
export async function migrateDatabase(options: StoreOptions, dryRun: boolean): Promise<readonly string[]> {
  refuseReadOnly(options)
  const requirePrivate = fileCheck(options)
  return withDatabase(options, async (driver, session) => {
    const waitBudget = session.waitBudget()
    const state = await session.read(readState(driver), waitBudget)
    refuseUnmanaged(options.database, state)
    requirePrivate(state)
    if (dryRun) return state.migrations.pending
    const applied = await session.retrying(() => migrate(driver, options.database), waitBudget)
    if (applied.length > 0) options.onCommit?.()
    return applied
  })
}

function refuseUnmanaged(database: Database, state: DatabaseState): void {
  if (state.status === 'newer' || state.status === 'unmanaged') throw refusalFor(database, state)
}

function statusOf({ newer, applied, pending }: MigrationState, others: boolean): DatabaseState['status'] {
  if (newer) return 'newer'
  if (pending.length === 0) return 'ready'
  if (applied.length > 0) return 'outdated'
  return others ? 'unmanaged' : 'empty'
}

/** Whether there is a table for Prisma's history, whether there are others, and what tells of secrets. A statement on a missing table would end a transaction on PostgreSQL. */
async function listTables(db: Statements, provider: Provider) {
  // Views of other names may be an extension's.
  const names = join(applicationTables)
  const presence = presenceSource(provider)
  type Flag = number | boolean
  const [row] = await db.query<{ history: Flag; others: Flag; nowhere: Flag; presence: PresenceSource }>(
    provider === 'sqlite'
      ? {
          presence,
          history: sql`EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_prisma_migrations')`,
          others: sql`EXISTS (SELECT 1 FROM sqlite_master WHERE (type = 'table' AND name <> '_prisma_migrations' AND name NOT GLOB 'sqlite_*') OR (type = 'view' AND lower(name) IN (${names})))`,
          nowhere: sql`1 = 0`,
        }
      : {
          presence,
          history: sql`EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = '_prisma_migrations')`,
          others: sql`EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename <> '_prisma_migrations')
            OR EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relname IN (${names}))`,
          nowhere: sql`current_schema() IS NULL`,
        },
    empty,
  )
  if (row?.nowhere)
    throw new IntegrationsError({
      code: 'DATABASE_MISSING',
      message: 'the schema that the database URL names does not exist, or this role may not use it',
      hint: 'create it with CREATE SCHEMA, or correct schema= in the URL',
    })
  return { history: Boolean(row?.history), others: Boolean(row?.others), presence: row?.presence ?? 'none' }
}

const applied = sql`_prisma_migrations m WHERE m.finished_at IS NOT NULL AND m.rolled_back_at IS NULL`

async function appliedMigrations(db: Statements): Promise<string[]> {
  // Those of an application may be anything.
  const rows = await db.queryAll<{ name: string }>(
    { name: sql`m.migration_name` },
    sql`FROM ${applied} ORDER BY m.started_at, m.migration_name`,
  )
  return rows.map(({ name }) => name)
}
