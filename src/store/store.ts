import { IntegrationsError } from '../errors.ts'
import { type Database, databaseFlag, displayUrl } from './database.ts'
import type { Driver } from './driver.ts'
import { integrationChanges, integrationRows } from './integrations.ts'
import { glance, migrate, obstacle, openDriver, readState, type StoreOptions } from './ready.ts'
import { secretChanges } from './secrets.ts'
import { type Session, startSession } from './session.ts'
import type { Statements, Transaction } from './statements.ts'
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

/**
 * Opens a database whose tables are those of this program.
 *
 * @param options `onCommit` is told of every change that was committed
 * @throws DATABASE_MISSING, DATABASE_BEHIND, DATABASE_AHEAD, DATABASE_INVALID, DATABASE_UNREACHABLE, NOT_PERMITTED
 */
export async function openStore(options: StoreOptions & { readonly onCommit?: () => void }): Promise<Store> {
  const { database, wait, notice } = options
  // The default database makes and updates itself.
  const create = options.create || (database.provider === 'sqlite' && database.isDefault)
  const driver = await openDriver({ ...options, create })
  const session = startSession(driver, database, wait)
  try {
    let state = (await session.read(glance(driver))) ?? (await session.read(readState(driver.provider)))
    if (create && (state.standing === 'empty' || state.standing === 'behind')) {
      await session.retrying(() => migrate(driver, database))
      notice(`made ready ${displayUrl(database)}`)
      state = await session.read(readState(driver.provider))
    }
    const refusal = obstacle(database, state)
    if (refusal) throw refusal
    return storeOn(driver, session, database, state.adopted, options.onCommit ?? (() => {}))
  } catch (error) {
    await session.close()
    throw error
  }
}

function storeOn(driver: Driver, session: Session, database: Database, adopted: boolean, onCommit: () => void): Store {
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
      integrations: { ...integrations, ...integrationChanges(tx, driver.dialect) },
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
      if (!(await session.read(driver.keepsWrites)))
        throw new IntegrationsError(
          'DATABASE_INVALID',
          `${displayUrl(database)} keeps no write-ahead log, without which a change can be lost`,
          `integrations db migrate${databaseFlag(database)}`,
        )
      if (dryRun) return session.rehearse((tx) => work(changes(tx)))
      const result = await session.mutate((tx) => work(changes(tx)))
      onCommit()
      return result
    },
    close: session.close,
  }
}
