import { setTimeout as sleep } from 'node:timers/promises'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import sql from 'sql-template-tag'
import { IntegrationsError } from '../errors.ts'
import { type Database, displayUrl } from './database.ts'
import type { Client, Driver } from './driver.ts'
import { databaseError, isBusy, isConnectionLost, isMissingTable } from './failure.ts'
import { integrationChanges, integrationRows } from './integrations.ts'
import { applyMigrations, type HistoryRow, type MigrationState, migrationState } from './migrations.ts'
import { secretChanges } from './secrets.ts'
import { onAdapter, onPrisma, type Statements, type Transaction } from './statements.ts'
import { userChanges, userRows } from './users.ts'
import { workspaceChanges, workspaceRows } from './workspaces.ts'

/** What can be read. */
export interface Rows {
  /** The application owns workspaces and users, and writes secrets too. */
  readonly adopted: boolean
  readonly integrations: ReturnType<typeof integrationRows>
  readonly workspaces: ReturnType<typeof workspaceRows>
  readonly users: ReturnType<typeof userRows>
}

/** What can be read and changed, within a transaction. */
export interface Changes extends Rows {
  readonly integrations: Rows['integrations'] & ReturnType<typeof integrationChanges>
  readonly secrets: ReturnType<typeof secretChanges>
  readonly workspaces: Rows['workspaces'] & ReturnType<typeof workspaceChanges>
  readonly users: Rows['users'] & ReturnType<typeof userChanges>
}

/** An open database. */
export interface Store {
  readonly database: Database
  readonly adopted: boolean
  /** Reads; `work` may run again when the database is busy. */
  read<T>(work: (rows: Rows) => Promise<T>): Promise<T>
  /** Reads in one transaction, so that all of it shows one moment. */
  snapshot<T>(work: (rows: Rows) => Promise<T>): Promise<T>
  /**
   * Changes something, in one transaction that holds the head row's lock from its first statement on. `work` may run
   * again when the database is busy, so it changes nothing but the database.
   *
   * @param options `dryRun`: roll back in the end, all the same as if `work` had failed
   * @throws DATABASE_BUSY when others held it until the time was up, COMMIT_UNKNOWN when the connection was lost at COMMIT
   */
  mutate<T>(work: (rows: Changes) => Promise<T>, options?: { readonly dryRun: boolean }): Promise<T>
  close(): Promise<void>
}

/** How to open a database. */
export interface StoreOptions {
  readonly database: Database
  /** How long to go on when the database is busy, in milliseconds. */
  readonly wait: number
  /** Whether to make what is missing: a file, a migration. The default database always does. */
  readonly create?: boolean
  /** Told what was made, for people. */
  readonly notice: (text: string) => void
  /** Told of every change that was committed. */
  readonly onCommit: () => void
}

/**
 * Opens a database whose tables are those of this program.
 *
 * @throws DATABASE_MISSING, DATABASE_BEHIND, DATABASE_AHEAD, DATABASE_INVALID, DATABASE_UNREACHABLE, NOT_PERMITTED
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { database, wait, notice } = options
  const driver = await openDriver(options)
  const session = startSession(driver, database, wait)
  try {
    let state = await session.read(readState(driver))
    const create = options.create || (database.provider === 'sqlite' && database.isDefault)
    if (state.migrations.ahead)
      throw new IntegrationsError('DATABASE_AHEAD', `a newer version of integrations has changed ${displayUrl(database)}`, 'upgrade integrations: npm install -g integrations@latest')
    if (state.migrations.pending.length > 0) {
      if (state.migrations.applied.length === 0 && (await session.read(hasTables(driver)))) throw foreignTables(database)
      if (!create) throw behind(database, state.migrations)
      await session.retrying(() => migrate(driver))
      notice(`made ready ${displayUrl(database)}`)
      state = await session.read(readState(driver))
    }
    const { adopted } = state
    const rows = (db: Statements): Rows => ({
      adopted,
      integrations: integrationRows(db, driver.dialect, adopted),
      workspaces: workspaceRows(db, driver.dialect),
      users: userRows(db, driver.dialect),
    })
    const changes = (tx: Transaction): Changes => {
      const { integrations, workspaces, users } = rows(tx)
      return {
        adopted,
        integrations: { ...integrations, ...integrationChanges(tx) },
        secrets: secretChanges(tx),
        workspaces: { ...workspaces, ...workspaceChanges(tx) },
        users: { ...users, ...userChanges(tx) },
      }
    }
    return {
      database,
      adopted,
      read: (work) => session.read((db) => work(rows(db))),
      snapshot: (work) => session.snapshot((db) => work(rows(db))),
      mutate: async (work, { dryRun } = { dryRun: false }) => {
        if (dryRun) return session.rehearse((tx) => work(changes(tx)))
        const result = await session.mutate((tx) => work(changes(tx)))
        options.onCommit()
        return result
      },
      close: session.close,
    }
  } catch (error) {
    await session.close()
    throw error
  }
}

/** How a database stands, for `db status` and for what makes it ready; it need not have any table. */
export interface DatabaseState {
  readonly migrations: MigrationState
  readonly adopted: boolean
}

/** Connects to a database as it is. @throws DATABASE_MISSING for a file that is not there and may not be made */
export async function openDriver({ database, create, wait, notice }: StoreOptions): Promise<Driver> {
  if (database.provider === 'postgresql') {
    const { postgresql } = await import('./postgresql.ts')
    return postgresql(database.url, database.schema, Math.min(wait, 10_000))
  }
  const { createFile, fileExists, sqlite } = await import('./sqlite.ts')
  if (!(await fileExists(database.file))) {
    if (!create && !database.isDefault)
      throw new IntegrationsError('DATABASE_MISSING', `there is no file ${database.file}`, `integrations init --database file:${database.file}`)
    await createFile(database.file).catch((error: unknown) => {
      throw databaseError(error, database)
    })
    notice(`created ${database.file}`)
  }
  return sqlite(database.file)
}

/** Brings a database up to date in one transaction. @returns the migrations applied */
export const migrate = (driver: Driver): Promise<string[]> =>
  driver.exclusively((adapter) => applyMigrations(driver.provider, adapter))

/** Reads how a database stands. */
export const readState =
  (driver: Driver) =>
  async (db: Statements): Promise<DatabaseState> => {
    const history = await orWithoutTable(
      db.query<{ name: string; finished: boolean | number; rolledBack: boolean | number }>(sql`SELECT migration_name AS name,
        finished_at IS NOT NULL AS finished, rolled_back_at IS NOT NULL AS "rolledBack" FROM _prisma_migrations ORDER BY started_at, migration_name`),
    )
    const rows: HistoryRow[] = history.map((row) => ({ name: row.name, finished: Boolean(row.finished), rolledBack: Boolean(row.rolledBack) }))
    const migrations = await migrationState(driver.provider, rows)
    const settings = migrations.applied.length > 1 ? await db.query<{ value: string }>(sql`SELECT value FROM integration_settings WHERE key = 'database'`) : []
    return { migrations, adopted: settings[0]?.value === 'adopted' }
  }

/** Whether there is any table at all, which is somebody else's when no migration of ours was applied. */
const hasTables =
  (driver: Driver) =>
  async (db: Statements): Promise<boolean> => {
    const rows = await db.query(
      driver.provider === 'sqlite'
        ? sql`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' LIMIT 1`
        : sql`SELECT 1 FROM pg_tables WHERE schemaname = current_schema() LIMIT 1`,
    )
    return rows.length > 0
  }

const foreignTables = (database: Database) =>
  new IntegrationsError('DATABASE_BEHIND', `${displayUrl(database)} has tables that this program did not make`, `integrations db adopt${databaseFlag(database)}`)

const behind = (database: Database, { pending, applied }: MigrationState) =>
  applied.length === 0
    ? new IntegrationsError('DATABASE_BEHIND', `${displayUrl(database)} is empty`, `integrations init${databaseFlag(database)}`)
    : new IntegrationsError('DATABASE_BEHIND', `${displayUrl(database)} lacks ${pending.length} of this program's migrations`, `integrations db migrate${databaseFlag(database)}`)

// DATABASE_URL, which PostgreSQL is named by, need not be typed again.
const databaseFlag = (database: Database) => (database.provider === 'sqlite' && !database.isDefault ? ` --database file:${database.file}` : '')

async function orWithoutTable<T>(rows: Promise<T[]>): Promise<T[]> {
  try {
    return await rows
  } catch (error) {
    if (isMissingTable(error)) return []
    throw error
  }
}

/** Runs statements with retries to the deadline, on connections that are thrown away after a failure. */
function startSession(driver: Driver, database: Database, wait: number) {
  let reading: Promise<SqlDriverAdapter> | undefined
  let changing: Promise<Client> | undefined

  // A client that saw a transaction fail may hold on to it, and acknowledge writes that are never committed.
  async function discard(): Promise<void> {
    const old = [reading?.then((adapter) => adapter.dispose()), changing?.then((client) => client.$disconnect())]
    reading = undefined
    changing = undefined
    await Promise.allSettled(old)
  }

  async function retrying<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + wait
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        await discard()
        const pause = Math.random() * Math.min(1000, 20 * 2 ** attempt)
        if (!isBusy(error) || performance.now() + pause > deadline) throw databaseError(error, database)
        await sleep(pause)
      }
    }
  }

  const read = <T>(work: (db: Statements) => Promise<T>): Promise<T> =>
    retrying(async () => {
      reading ??= driver.connect()
      return work(onAdapter(await reading, driver.provider))
    })

  const snapshot = <T>(work: (db: Statements) => Promise<T>): Promise<T> =>
    retrying(async () => {
      reading ??= driver.connect()
      const transaction = await (await reading).startTransaction()
      try {
        return await work(onAdapter(transaction, driver.provider))
      } finally {
        // The adapters differ in who says ROLLBACK.
        if (!transaction.options.usePhantomQuery) await transaction.executeRaw({ sql: 'ROLLBACK', args: [], argTypes: [] }).catch(() => {})
        await transaction.rollback()
      }
    })

  const mutate = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
    retrying(async () => {
      let done = false
      try {
        changing ??= driver.client()
        return await (await changing).$transaction(
          async (models) => {
            const tx = onPrisma(models)
            await lockHead(tx)
            const result = await work(tx)
            done = true
            return result
          },
          { maxWait: wait, timeout: wait },
        )
      } catch (error) {
        if (done && isConnectionLost(error))
          throw new IntegrationsError('COMMIT_UNKNOWN', 'the connection was lost while the change was being committed', 'see with integrations list or show whether it was made', {
            cause: error,
            committed: null,
          })
        throw error
      }
    })

  async function rehearse<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const rollBack = new Error('rehearsed')
    let outcome: { result: T } | undefined
    try {
      await mutate(async (tx) => {
        outcome = { result: await work(tx) }
        throw rollBack
      })
    } catch (error) {
      if (error !== rollBack || outcome === undefined) throw error
    }
    return (outcome as { result: T }).result
  }

  return { retrying, read, snapshot, mutate, rehearse, close: discard }
}

/**
 * The first statement of every change. It puts all changes in one order; and since it writes, SQLite's transaction has
 * the write lock from here on and cannot fail at its first write after reading.
 */
async function lockHead(tx: Transaction): Promise<void> {
  const changed = await tx.execute(sql`UPDATE integration_settings SET seq = seq + 1, updated_at = ${new Date()} WHERE key = 'head'`)
  if (changed !== 1) throw new IntegrationsError('DATABASE_INVALID', 'the head row of integration_settings is missing', 'restore it from a backup')
}
