import { empty } from 'sql-template-tag'
import type { Instant } from '../brands.ts'
import { type KeySet, keyFor, newKey, purposes } from '../crypto/key-set.ts'
import { databaseInvalid } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { receiverReader } from './activity/receivers.ts'
import { usageWriter } from './activity/usage.ts'
import { configRevisionReader } from './audit/config-revisions.ts'
import { auditReader } from './audit/events.ts'
import { requireKnownKeys } from './audit/head.ts'
import { revocationReader } from './audit/revocations.ts'
import { stateReader } from './audit/row-states.ts'
import { FollowedLog, type HeadMemory, SeenHeads } from './audit/seen.ts'
import type { ChangeEnd } from './change.ts'
import type { Driver } from './database/driver.ts'
import { fileCheck } from './database/private-files.ts'
import { createSession, type Session } from './database/session.ts'
import type { Statements } from './database/statements.ts'
import { commandOn, displayUrl } from './database/url.ts'
import { withParts } from './parts.ts'
import { ignoredFindingReader } from './report/ignored-findings.ts'
import { policyReader } from './report/policies.ts'
import { compareTables, type Needs, readDifferences, type Sharing, sharingOf } from './schema/application-tables.ts'
import {
  type DatabaseState,
  migrate,
  openDriver,
  readState,
  readStateFast,
  refusalFor,
  refuseReadOnly,
  requireKeys,
  type StoreOptions,
} from './schema/ready.ts'
import { acceptedSecretReader } from './secrets/accepted.ts'
import { holderReader } from './secrets/holders.ts'
import { reportReader } from './secrets/report-facts.ts'
import { storedValueReader } from './secrets/stored.ts'
import type { Reader, Store } from './store.ts'
import { appReader } from './tables/apps.ts'
import { damagedRows } from './tables/damaged-rows.ts'
import { integrationReader } from './tables/integrations.ts'
import { keyReader, type Settings } from './tables/keys.ts'
import { labelReader } from './tables/labels.ts'
import { refreshReader } from './tables/refresh-attempts.ts'
import { presenceFrom, secretVersionReader } from './tables/secret-metadata.ts'
import { userReader } from './tables/users.ts'
import { workspaceReader } from './tables/workspaces.ts'

/** How to open a database whose tables are there. */
export interface OpenOptions extends StoreOptions {
  /** Where this machine keeps the ends of audit logs that it has seen; absent: nowhere. */
  readonly heads?: HeadMemory
}

/**
 * Opens a database whose tables are those of this program.
 *
 * @throws DATABASE_MISSING, DATABASE_OUTDATED, DATABASE_TOO_NEW, DATABASE_INVALID, DATABASE_UNREACHABLE, NOT_PERMITTED
 */
export async function openStore(options: OpenOptions): Promise<Store> {
  const { database, notice } = options
  if (options.create) refuseReadOnly(options)
  // The default database makes and updates itself.
  const create = !options.readOnly && (options.create || (database.provider === 'sqlite' && database.isDefault))
  const requirePrivate = fileCheck(options)
  const driver = await openDriver({ ...options, create })
  const needs = { provider: driver.provider, platforms: options.platforms }
  const compared = compareTables(needs, database)
  let sharing: Sharing = 'adopted'
  const session = createSession({ ...options, driver, compare: (db) => compared(db, sharing) })
  try {
    const waitBudget = session.waitBudget()
    let initialised = false
    let state =
      (await session.read(readStateFast(driver), waitBudget)) ?? (await session.read(readState(driver), waitBudget))
    const isIncomplete = state.status === 'empty' || state.status === 'outdated'
    if (create || !isIncomplete) requirePrivate(state)
    if (create && isIncomplete) {
      if (state.status === 'empty') await requireKeys(options.keys)
      await session.retrying(() => migrate(driver, database), waitBudget)
      initialised = true
      notice(`initialised ${displayUrl(database)}`)
      state = await session.read(readState(driver), waitBudget)
    }
    const refusal = refusalFor(database, state)
    if (refusal) throw refusal
    sharing = sharingOf(state)
    return storeOn({ driver, session, state, initialised, seen: new SeenHeads(options.heads, database) }, options)
  } catch (error) {
    await session.close()
    throw error
  }
}

/** A database that is open. */
interface Opened {
  readonly driver: Driver
  readonly session: Session
  readonly state: DatabaseState
  readonly initialised: boolean
  readonly seen: SeenHeads
}

function storeOn(opened: Opened, options: OpenOptions): Store {
  const { driver, session, state, initialised, seen } = opened
  const { database } = options
  const { dialect } = driver
  const needs = { provider: driver.provider, platforms: options.platforms }
  const reader = (db: Statements) => readerOn(db, { driver, state, needs })
  const requireWritable = () => {
    refuseReadOnly(options)
    const unsafe = options.neverBlock ? driver.unsafe?.() : undefined
    if (unsafe) throw unsafe
  }
  return {
    database,
    initialised,
    adopted: state.adopted,
    applicationWrites: state.applicationWrites,
    seen,
    replaced: () => driver.replaced?.(),
    read: (work) => session.read((db) => work(reader(db))),
    readForChange: async (work) => {
      requireWritable()
      return session.read((db) => work(reader(db)))
    },
    snapshot: (work) => session.snapshot((db) => work(reader(db))),
    mutate: async (work, { dryRun = false, auditOnly = false, withModels = false } = {}) => {
      requireWritable()
      const waitBudget = session.waitBudget()
      const known = await session.read(async (db) => {
        if (!(await driver.isDurable(db)))
          throw databaseInvalid(
            `${displayUrl(database)} has no write-ahead log, without which a change can be lost`,
            commandOn(database, 'db migrate'),
          )
        const { keys } = reader(db)
        const settings = await keys.settings()
        if (settings.keys.length > 0) return { settings, fresh: false }
        const fresh = await keys.isFresh()
        // None are made that this role could not register.
        if (fresh) await keys.requireAdmin()
        // Another process may have made them in between.
        const now = await keys.settings()
        return { settings: now, fresh: fresh && now.keys.length === 0 }
      }, waitBudget)
      // With the encryption that only a change needs.
      const { beginChange, prepareChange } = await import('./change.ts')
      const keys = await keySet(options, known, dryRun)
      const { attribution, notice } = options
      const where = options.keys.name
      const preparation = prepareChange({ keys, where }, known.fresh ? undefined : known.settings)
      const prepared = { ...preparation, attribution, auditOnly }
      let end: ChangeEnd | undefined
      const log = new FollowedLog(seen)
      const result = await session
        .mutate(
          async (tx) => {
            const { changes, append } = await beginChange(tx, { dialect, db: reader(tx), ...prepared })
            await log.begin(changes)
            const result = await work(Object.assign(changes, { acceptLog: () => log.accept() }))
            end = await append()
            return { result, keep: end.kept && !dryRun }
          },
          { waitBudget, withModels },
        )
        .finally(() => log.warn())
      failpoint('committed')
      if (end?.kept && !dryRun) log.keep(end)
      if (end?.kept && end.bound > 0 && !dryRun)
        notice(
          'grace periods from before the upgrade go on; receivers of the version before refuse previous secrets from now on: upgrade them',
        )
      if (end?.changed && !dryRun && !auditOnly) options.onCommit?.()
      return result
    },
    as: (declaredAs) => storeOn(opened, { ...options, attribution: { ...options.attribution, declaredAs } }),
    recordUsage: async (work) => {
      requireWritable()
      return session.read((db) => work(usageWriter(db, dialect)))
    },
    close: session.close,
  }
}

const readerOn = (
  db: Statements,
  {
    driver: { provider, dialect },
    state: { adopted, applicationWrites, presence },
    needs,
  }: { readonly driver: Driver; readonly state: DatabaseState; readonly needs: Needs },
): Reader =>
  withParts(
    {
      adopted,
      damagedRows: () => damagedRows(db, dialect),
      tableDifferences: () => readDifferences(db, needs, sharingOf({ adopted })),
      showsViews: async () => (await import('./schema/catalogue.ts')).showsViews(db, provider),
      triggerDifferences: async () => (await import('./schema/triggers.ts')).triggerDifferences(db, provider),
      async clock() {
        const [row] = await db.query<{ now: Instant }>({ now: dialect.toRfc3339(dialect.now) }, empty)
        return new Date(row?.now ?? Number.NaN)
      },
    },
    {
      integrations: () =>
        integrationReader(db, dialect, {
          shared: applicationWrites,
          // In a database of ours, what is recorded tells.
          presence: presenceFrom(adopted || applicationWrites ? presence : 'none'),
        }),
      workspaces: () => workspaceReader(db, dialect),
      users: () => userReader(db, dialect),
      secrets: () => ({
        ...secretVersionReader(db, dialect),
        ...acceptedSecretReader(db, dialect),
        ...holderReader(db, dialect),
      }),
      storedValues: () => storedValueReader(db, dialect),
      keys: () => keyReader(db, dialect),
      apps: () => appReader(db, dialect),
      refresh: () => refreshReader(db, dialect),
      configRevisions: () => configRevisionReader(db, dialect),
      labels: () => labelReader(db, dialect),
      audit: () => auditReader(db, dialect),
      states: () => stateReader(db, dialect),
      receivers: () => receiverReader(db, dialect),
      report: () => reportReader(db, dialect),
      ignoredFindings: () => ignoredFindingReader(db, dialect),
      revocations: () => revocationReader(db, dialect),
      policies: () => policyReader(db, dialect),
    },
  )

/** The key set, generated for a database that knows no keys. What a dry run generates is not written down. */
async function keySet(
  { keys: source, notice }: OpenOptions,
  { settings, fresh }: { readonly settings: Settings; readonly fresh: boolean },
  dryRun: boolean,
): Promise<KeySet> {
  if (!fresh) requireKnownKeys(settings)
  const set = await source.load(settings)
  if (!fresh) {
    if (set.size === 0) throw await source.empty()
    return set
  }
  const lacking = purposes.filter((purpose) => !keyFor(set, purpose))
  if (lacking.length === 0) {
    if (!dryRun)
      notice(
        `the keys of this database were already in ${source.name}: if another database uses them too, a leak of the key set exposes both`,
      )
    return set
  }
  const made = lacking.map(newKey)
  if (dryRun) return new Map([...set, ...made.map((key) => [key.id, key] as const)])
  const whole = await source.add(made)
  notice(
    `generated keys in ${source.name}; keep a copy of it elsewhere: without it, the secrets of this database are lost`,
  )
  return whole
}
