import sql from 'sql-template-tag'
import { instantOf } from '../brands.ts'
import { type KeySet, keyFor, purposes } from '../crypto/key-set.ts'
import { checkValue, type Keyring, type KnownKey, openKeyring } from '../crypto/keyring.ts'
import { healthWriter } from './activity/health.ts'
import { configRevisionWriter } from './audit/config-revisions.ts'
import type { Attribution, Head, NewEvent } from './audit/events.ts'
import {
  type DatabaseState,
  headMac,
  type PreviousValues,
  previousValuesOf,
  requireKnownKeys,
  requireState,
} from './audit/head.ts'
import { auditLog, integrationTargets, type Recording, stateRecorded } from './audit/log.ts'
import { WrittenColumns } from './audit/written.ts'
import type { Dialect } from './database/driver.ts'
import type { WritableStatements } from './database/statements.ts'
import { withParts } from './parts.ts'
import { ignoredFindingWriter } from './report/ignored-findings.ts'
import { policyWriter } from './report/policies.ts'
import { purgeExpired, purgeLimit, secretWriter } from './secrets/changes.ts'
import { bindPrevious, keptIntegrations, storedValueWriter } from './secrets/reencrypt.ts'
import type { SecretContext } from './secrets/versions.ts'
import { readStartOfChange } from './start-of-change.ts'
import type { Reader, Transaction } from './store.ts'
import { appWriter } from './tables/apps.ts'
import { integrationWriter } from './tables/integrations.ts'
import { type EncryptionMode, type KeyWriter, keyWriter, type Settings, unknownMode } from './tables/keys.ts'
import { labelWriter } from './tables/labels.ts'
import { refreshWriter } from './tables/refresh-attempts.ts'
import { userWriter } from './tables/users.ts'
import { workspaceWriter } from './tables/workspaces.ts'

/** What is prepared before the head row is locked. */
export interface Preparation {
  readonly keys: KeySet
  /** Where the keys come from, for messages. */
  readonly where: string
  /** The keys of the database as it was read; undefined for one without. */
  readonly known: readonly KnownKey[] | undefined
  readonly keyring: Keyring | undefined
}

/**
 * Finds the keys of a database in a set, before anything waits for it.
 *
 * @param settings what the database says of itself; undefined for one that knows no keys
 * @throws KEYS_MISSING, KEY_WRONG, DATABASE_TAMPERED
 */
export function prepareChange(
  { keys, where }: Pick<Preparation, 'keys' | 'where'>,
  settings: Settings | undefined,
): Preparation {
  if (settings) requireKnownKeys(settings)
  const known = settings?.keys
  return { keys, where, known, keyring: known && openKeyring(keys, known, where) }
}

/** What a change is made on, with which keys, and by whom. */
interface ChangeOptions extends Preparation {
  readonly dialect: Dialect
  readonly db: Reader
  readonly attribution: Attribution
  /** The user has asked for no change: receivers of the version before go on reading the previous values that it kept. */
  readonly auditOnly: boolean
}

/** What came of a change: whether there are events, and any but what was observed of the application; the id of the database, and the end of the log. */
export interface ChangeEnd {
  readonly kept: boolean
  readonly changed: boolean
  /** How many previous values that a version before kept have the form of this version since, and are accepted. */
  readonly bound: number
  readonly id: string
  readonly head: Head
}

/**
 * The second step of every change, after the head row is locked: finds the keys of the database in the set, and the
 * end of the audit log, and destroys values that expired a day ago. A database that knows no keys gets those of the set.
 *
 * @returns what can be read and changed, and the last step, which appends the events recorded meanwhile
 * @throws KEYS_MISSING, KEY_WRONG
 */
export async function beginChange(
  tx: WritableStatements,
  { dialect, db, keys, where, known, keyring: prepared, attribution, auditOnly }: ChangeOptions,
): Promise<{ changes: Omit<Transaction, 'acceptLog'>; append: () => Promise<ChangeEnd> }> {
  let start = await readStartOfChange(tx, dialect)
  const { now } = start
  // One that was fresh may have got its keys meanwhile.
  const fresh = known === undefined && (await db.keys.isFresh())
  if (fresh) {
    await register(keyWriter(tx), keys, now)
    start = await readStartOfChange(tx, dialect)
  }
  const stored = start.settings
  requireKnownKeys(stored)
  const isPrepared = JSON.stringify(known) === JSON.stringify(stored.keys)
  const keyring = (isPrepared && prepared) || openKeyring(keys, stored.keys, where)
  if (!fresh) requireState(keyring, stored)
  const mode = fresh ? await decideMode(tx, db.adopted, now) : stored.mode
  if (mode === null) throw unknownMode()
  const settings = { ...stored, mode }
  const state = { ...settings, keys: [...stored.keys] }
  const written = new WrittenColumns()
  const recording = {
    dialect,
    written,
    adopted: db.adopted,
    keyring,
    head: stored.head,
    hasForeignRows: start.hasForeignRows,
    now,
    databaseRole: start.databaseRole,
    attribution,
  }
  const before = fresh ? 'bound' : previousValuesOf(stored.head)
  const { previous, bound, head } = await takeOverPrevious(tx, recording, { before, binds: !auditOnly, state })
  const log = auditLog(tx, { ...recording, head })
  if (fresh)
    log.record({
      action: 'keys.init',
      target: { type: 'database', id: settings.id, name: null },
      fields: [mode],
      keyId: keyring.encryptionKey.id,
    })
  const context: SecretContext = { tx, dialect, keyring, mode, now, written, observe: log.observe }
  const limit = purgeLimit(now, start.newestEvent)
  const { firstExpiry } = start
  const hasExpired = limit && firstExpiry !== null && (firstExpiry === undefined || firstExpiry <= instantOf(limit))
  let purged = hasExpired ? await purgeExpired(context, limit) : 0
  let purgeRecorded = false
  async function purge(atOnce = false): Promise<number> {
    if (atOnce) purged += await purgeExpired(context, now)
    if (purged > 0 && !purgeRecorded) {
      purgeRecorded = true
      const target = { type: 'database', id: settings.id, name: null } as const
      log.record({ action: 'secret.purge', target, count: purged })
    }
    return purged
  }
  async function record(event: NewEvent): Promise<void> {
    await purge()
    log.record(event)
  }
  async function append(): Promise<ChangeEnd> {
    const external = await log.externalChanges()
    const changed = log.length() > 0
    for (const event of external) await record(event)
    const head = await log.append((head) => headMac(keyring, state, head, previous))
    return { kept: log.length() > 0, changed, bound, id: state.id, head }
  }
  const parts = withParts(db, {
    integrations: () => ({ ...db.integrations, ...integrationWriter(tx, dialect, written) }),
    secrets: () => ({ ...db.secrets, ...secretWriter(context) }),
    storedValues: () => ({ ...db.storedValues, ...storedValueWriter(context) }),
    workspaces: () => ({ ...db.workspaces, ...workspaceWriter(tx, written) }),
    users: () => ({ ...db.users, ...userWriter(tx, written) }),
    keys: () => ({ ...db.keys, ...recorded(keyWriter(tx), state) }),
    apps: () => ({ ...db.apps, ...appWriter(tx, { keyring, now, written }) }),
    refresh: () => ({ ...db.refresh, ...refreshWriter(tx, { dialect, now, written }) }),
    configRevisions: () => ({ ...db.configRevisions, ...configRevisionWriter(tx, { now, dialect }) }),
    health: () => healthWriter(tx, now),
    labels: () => ({ ...db.labels, ...labelWriter(tx, written) }),
    ignoredFindings: () => ({ ...db.ignoredFindings, ...ignoredFindingWriter(tx, written) }),
    policies: () => ({ ...db.policies, ...policyWriter(tx, { now, written }) }),
  })
  const changes = Object.assign(parts, { settings, keyring, previousValues: previous, now, purge, record })
  return { changes, append }
}

/**
 * Takes over the grace periods of a version before: events say which previous values are accepted, and then the values do.
 *
 * @param options `before`: what says so when the change begins; `binds`: whether the values are to say so
 * @returns what says so from the change on, how many accepted values say so since, and where the log ends then
 */
async function takeOverPrevious(
  tx: WritableStatements,
  recording: Recording,
  { before, binds, state }: { readonly before: PreviousValues; readonly binds: boolean; readonly state: DatabaseState },
): Promise<{ readonly previous: PreviousValues; readonly bound: number; readonly head: Head }> {
  if (before === 'bound' || (before === 'recorded' && !binds))
    return { previous: before, bound: 0, head: recording.head }
  const unrecorded = before === 'unrecorded' ? await keptIntegrations(tx) : []
  const previous = binds || unrecorded.length === 0 ? 'bound' : 'recorded'
  const bound = previous === 'bound' ? await bindPrevious({ tx, ...recording }, before) : 0
  const log = auditLog(tx, recording)
  for (const target of await integrationTargets(tx, unrecorded)) log.record({ action: stateRecorded, target })
  const head = await log.append((head) => headMac(recording.keyring, state, head, previous))
  return { previous, bound, head }
}

/** Writes keys, the mode and the id, and keeps what the head row is to vouch for. */
const recorded = (writer: KeyWriter, state: { id: string; mode: EncryptionMode; keys: KnownKey[] }): KeyWriter => ({
  insert: async (key, now) => {
    await writer.insert(key, now)
    state.keys.push(key)
  },
  setState: async (id, to) => {
    await writer.setState(id, to)
    state.keys = state.keys.map((key) => (key.id === id ? { ...key, state: to } : key))
  },
  setMode: async (mode, now) => {
    await writer.setMode(mode, now)
    state.mode = mode
  },
  setId: async (id, now) => {
    await writer.setId(id, now)
    state.id = id
  },
})

async function register(writer: KeyWriter, keys: KeySet, now: Date): Promise<void> {
  for (const purpose of purposes) {
    const key = keyFor(keys, purpose)
    if (key) await writer.insert({ id: key.id, purpose, state: 'active', checkValue: checkValue(key) }, now)
  }
}

/** A new database encrypts everything; where an application reads, or there are plain values, all stays as it is. */
async function decideMode(tx: WritableStatements, adopted: boolean, now: Date): Promise<EncryptionMode> {
  const plain = await tx.some(sql`FROM integrations
    WHERE webhook_secret IS NOT NULL OR access_token IS NOT NULL OR refresh_token IS NOT NULL LIMIT 1`)
  const mode: EncryptionMode = adopted || plain ? 'off' : 'required'
  await keyWriter(tx).setMode(mode, now)
  return mode
}
