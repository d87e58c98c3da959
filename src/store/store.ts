import { type KeyPurpose, type KeySet, keyFor, newKey } from '../crypto/key-set.ts'
import type { Keyring } from '../crypto/keyring.ts'
import { IntegrationsError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import type { Driver } from './database/driver.ts'
import { createSession, type Session } from './database/session.ts'
import type { Statements } from './database/statements.ts'
import { type Database, databaseFlag, displayUrl } from './database/url.ts'
import {
  type DatabaseState,
  migrate,
  openDriver,
  readState,
  readStateFast,
  refusalFor,
  refuseReadOnly,
  type StoreOptions,
} from './schema/ready.ts'
import { validRows } from './secrets/accepted.ts'
import type { secretChanges } from './secrets/changes.ts'
import type { storedValueChanges } from './secrets/reencrypt.ts'
import { storedValueRows } from './secrets/stored.ts'
import { usageWriter } from './secrets/usage.ts'
import { type appChanges, appRows } from './tables/apps.ts'
import { auditRows, type NewEvent } from './tables/events.ts'
import { type integrationChanges, integrationRows } from './tables/integrations.ts'
import { type EncryptionMode, type keyChanges, keyRows, type Settings } from './tables/keys.ts'
import { type refreshChanges, refreshRows } from './tables/refresh-attempts.ts'
import { secretRows } from './tables/secret-metadata.ts'
import { type userChanges, userRows } from './tables/users.ts'
import { type workspaceChanges, workspaceRows } from './tables/workspaces.ts'

/** What can be read. */
export interface Reader {
  /** The application owns workspaces and users, and writes secrets too. */
  readonly adopted: boolean
  readonly integrations: ReturnType<typeof integrationRows>
  readonly workspaces: ReturnType<typeof workspaceRows>
  readonly users: ReturnType<typeof userRows>
  readonly secrets: ReturnType<typeof secretRows> & ReturnType<typeof validRows>
  readonly storedValues: ReturnType<typeof storedValueRows>
  readonly keys: ReturnType<typeof keyRows>
  readonly apps: ReturnType<typeof appRows>
  readonly refresh: ReturnType<typeof refreshRows>
  readonly audit: ReturnType<typeof auditRows>
}

/** What can be read and changed, within a transaction. */
export interface Transaction extends Reader {
  readonly integrations: Reader['integrations'] & ReturnType<typeof integrationChanges>
  readonly secrets: Reader['secrets'] & ReturnType<typeof secretChanges>
  readonly storedValues: Reader['storedValues'] & ReturnType<typeof storedValueChanges>
  readonly keys: Reader['keys'] & ReturnType<typeof keyChanges>
  readonly apps: Reader['apps'] & ReturnType<typeof appChanges>
  readonly refresh: Reader['refresh'] & ReturnType<typeof refreshChanges>
  readonly workspaces: Reader['workspaces'] & ReturnType<typeof workspaceChanges>
  readonly users: Reader['users'] & ReturnType<typeof userChanges>
  /** As they are once the first change has decided the mode. */
  readonly settings: Settings & { readonly mode: EncryptionMode }
  readonly vault: Keyring
  /** The database's clock at the beginning. */
  readonly now: Date
  /**
   * Records that old values, whose time was over, were forgotten at the beginning, as is done before the first event of
   * any other change.
   *
   * @returns how many; nothing is recorded for none
   */
  purge(): Promise<number>
  /**
   * Appends to the audit log, when the change ends. What secrets of the same integration were found to be changed by the
   * application goes with it; where nothing is recorded of an integration, that is an event of its own. A change without
   * any event is not kept.
   */
  record(event: NewEvent): Promise<void>
}

/** How a change is made. */
interface MutateOptions {
  readonly dryRun?: boolean
  readonly auditOnly?: boolean
}

/** An open database. */
export interface Store {
  readonly database: Database
  readonly adopted: boolean
  /** Reads; `work` may run again when the database is busy. */
  read<T>(work: (db: Reader) => Promise<T>): Promise<T>
  /** Reads in one transaction, so that all of it shows one moment. */
  snapshot<T>(work: (db: Reader) => Promise<T>): Promise<T>
  /**
   * Changes something, in one transaction that holds the head row's lock from its first statement on. `work` may run
   * again when the database is busy, so it changes nothing but the database. What it did is kept when it has recorded
   * an event, and undone when it has not.
   *
   * @param options `dryRun`: undo it all the same; `auditOnly`: what is recorded is that something was read
   * @throws DATABASE_BUSY when others held it until the time was up, COMMIT_UNKNOWN when the connection was lost at
   *   COMMIT, KEYS_MISSING, KEY_WRONG, NOT_PERMITTED when nothing may be changed
   */
  mutate<T>(work: (tx: Transaction) => Promise<T>, options?: MutateOptions): Promise<T>
  /** Notes how secrets were used, which is no change; `work` may run again when the database is busy. */
  recordUsage(work: (notes: ReturnType<typeof usageWriter>) => Promise<void>): Promise<void>
  close(): Promise<void>
}

/** How to open a database whose tables are there. */
interface OpenOptions extends StoreOptions {
  /** Told of every change that was committed. */
  readonly onCommit?: () => void
}

/**
 * Opens a database whose tables are those of this program.
 *
 * @throws DATABASE_MISSING, DATABASE_OUTDATED, DATABASE_TOO_NEW, DATABASE_INVALID, DATABASE_UNREACHABLE, NOT_PERMITTED
 */
export async function openStore(options: OpenOptions): Promise<Store> {
  const { database, wait, notice } = options
  if (options.create) refuseReadOnly(options)
  // The default database makes and updates itself.
  const create = !options.readOnly && (options.create || (database.provider === 'sqlite' && database.isDefault))
  const driver = await openDriver({ ...options, create })
  const session = createSession(driver, database, wait)
  try {
    let state = (await session.read(readStateFast(driver))) ?? (await session.read(readState(driver.provider)))
    if (create && (state.status === 'empty' || state.status === 'behind')) {
      await session.retrying(() => migrate(driver, database))
      notice(`made ready ${displayUrl(database)}`)
      state = await session.read(readState(driver.provider))
    }
    const refusal = refusalFor(database, state)
    if (refusal) throw refusal
    return storeOn(driver, session, state, options)
  } catch (error) {
    await session.close()
    throw error
  }
}

function storeOn(
  driver: Driver,
  session: Session,
  { adopted, applicationWrites }: DatabaseState,
  options: OpenOptions,
): Store {
  const { database, keys: source, attribution, notice } = options
  const { dialect } = driver
  const rows = (db: Statements): Reader => ({
    adopted,
    integrations: integrationRows(db, dialect, applicationWrites),
    workspaces: workspaceRows(db, dialect),
    users: userRows(db, dialect),
    secrets: { ...secretRows(db, dialect), ...validRows(db, dialect) },
    storedValues: storedValueRows(db, dialect),
    keys: keyRows(db, dialect),
    apps: appRows(db, dialect),
    refresh: refreshRows(db, dialect),
    audit: auditRows(db, dialect),
  })
  /** The key set, made for a database that knows no keys. What a dry run makes is not written down. */
  async function keySet(dryRun: boolean): Promise<KeySet> {
    const set = await source.load()
    const fresh = await session.read(async (db) => isFresh(rows(db)))
    if (!fresh && set.size === 0) throw await source.empty()
    const lacking = !fresh ? [] : purposes.filter((purpose) => !keyFor(set, purpose))
    if (lacking.length === 0) return set
    const made = lacking.map(newKey)
    if (dryRun) return new Map([...set, ...made.map((key) => [key.id, key] as const)])
    const whole = await source.add(made)
    notice(
      `made keys in ${source.name}; keep a copy of it elsewhere: without it, the secrets of this database are lost`,
    )
    return whole
  }

  return {
    database,
    adopted,
    read: (work) => session.read((db) => work(rows(db))),
    snapshot: (work) => session.snapshot((db) => work(rows(db))),
    mutate: async (work, { dryRun = false, auditOnly = false } = {}) => {
      refuseReadOnly(options)
      if (!(await session.read(driver.isDurable)))
        throw new IntegrationsError({
          code: 'DATABASE_INVALID',
          message: `${displayUrl(database)} keeps no write-ahead log, without which a change can be lost`,
          hint: `integrations db migrate${databaseFlag(database)}`,
        })
      // With the encryption that only a change needs.
      const { beginChange } = await import('./change.ts')
      const keys = await keySet(dryRun)
      let kept = false
      const result = await session.mutate(async (tx) => {
        const { changes, append } = await beginChange(tx, dialect, rows(tx), keys, source.name, attribution)
        const result = await work(changes)
        kept = (await append()) > 0 && !dryRun
        return { result, keep: kept }
      })
      failpoint('committed')
      if (kept && !auditOnly) options.onCommit?.()
      return result
    },
    recordUsage: async (work) => {
      refuseReadOnly(options)
      await session.read((db) => work(usageWriter(db, dialect)))
    },
    close: session.close,
  }
}

/** Whether nothing was ever changed in a database: only then are keys made for it. */
export const isFresh = async (db: Reader): Promise<boolean> =>
  (await db.keys.list()).length === 0 && (await db.audit.head()).seq === 0n

const purposes: readonly KeyPurpose[] = ['seal', 'fingerprint', 'audit']
