import sql from 'sql-template-tag'
import { type KeySet, keyFor } from '../crypto/key-set.ts'
import { checkValue, openKeyring } from '../crypto/keyring.ts'
import type { Instant } from '../integration.ts'
import { auditChanges } from './audit.ts'
import type { Dialect } from './database/driver.ts'
import type { WritableStatements } from './database/statements.ts'
import { secretChanges } from './secrets/changes.ts'
import { storedValueChanges } from './secrets/reencrypt.ts'
import { isFresh, type Reader, type Transaction } from './store.ts'
import { appChanges } from './tables/apps.ts'
import type { Attribution, NewEvent } from './tables/events.ts'
import { integrationChanges } from './tables/integrations.ts'
import { type EncryptionMode, keyChanges, unknownMode } from './tables/keys.ts'
import { refreshChanges } from './tables/refresh-attempts.ts'
import { userChanges } from './tables/users.ts'
import { workspaceChanges } from './tables/workspaces.ts'

/**
 * The second step of every change, after the head row is locked: finds the keys of the database in the set, and the
 * end of the audit log, and forgets old values whose time is over. A database that knows no keys is told of those of
 * the set.
 *
 * @param where the keys come from, for messages
 * @returns what can be read and changed, and what appends the events recorded meanwhile: the last step, which tells how
 *   many they are
 * @throws KEYS_MISSING, KEY_WRONG
 */
export async function beginChange(
  tx: WritableStatements,
  dialect: Dialect,
  db: Reader,
  keys: KeySet,
  where: string,
  attribution: Attribution,
): Promise<{ changes: Transaction; append: () => Promise<number> }> {
  const [clock] = await tx.query<{ now: Instant; role: string | null }>(
    sql`SELECT ${dialect.toRfc3339(dialect.now)} AS now, ${dialect.role} AS role`,
  )
  const now = new Date(clock?.now ?? Number.NaN)
  const known = await db.keys.list()
  const fresh = await isFresh(db)
  if (fresh) await register(tx, keys, now)
  const vault = await openKeyring(keys, fresh ? await db.keys.list() : known, where)
  const stored = await db.keys.settings()
  const mode = fresh ? await decideMode(tx, db.adopted, now) : stored.mode
  if (mode === null) throw unknownMode()
  const settings = { ...stored, mode }
  const log = auditChanges(tx, {
    vault,
    head: await db.audit.head(),
    now,
    databaseRole: clock?.role ?? null,
    attribution,
  })
  if (fresh)
    log.record({
      action: 'keys.init',
      target: { type: 'database', id: settings.id, name: null },
      fields: [mode],
      keyId: vault.encryptionKey.id,
    })
  const secrets = secretChanges({ tx, dialect, vault, mode, now, observe: log.observe })
  const purged = await secrets.purge()
  let told = purged === 0
  async function purge(): Promise<number> {
    if (!told) {
      told = true
      const target = { type: 'database', id: settings.id, name: null } as const
      log.record({ action: 'secret.purge', target, count: purged })
    }
    return purged
  }
  async function record(event: NewEvent): Promise<void> {
    await purge()
    log.record(event)
  }
  async function append(): Promise<number> {
    for (const event of await log.externalChanges()) await record(event)
    return log.append()
  }
  const changes = {
    ...db,
    integrations: { ...db.integrations, ...integrationChanges(tx, dialect) },
    secrets: { ...db.secrets, ...secrets },
    storedValues: { ...db.storedValues, ...storedValueChanges(tx, { vault, mode, secrets }) },
    workspaces: { ...db.workspaces, ...workspaceChanges(tx) },
    users: { ...db.users, ...userChanges(tx) },
    keys: { ...db.keys, ...keyChanges(tx) },
    apps: { ...db.apps, ...appChanges(tx, vault, now) },
    refresh: { ...db.refresh, ...refreshChanges(tx, now) },
    settings,
    vault,
    now,
    purge,
    record,
  }
  return { changes, append }
}

async function register(tx: WritableStatements, keys: KeySet, now: Date): Promise<void> {
  for (const purpose of ['seal', 'fingerprint', 'audit'] as const) {
    const key = keyFor(keys, purpose)
    if (key) await keyChanges(tx).insert(key.id, purpose, 'active', await checkValue(key), now)
  }
}

/** A new database seals everything; one that an application reads, or that holds plain values, goes on as it is. */
async function decideMode(tx: WritableStatements, adopted: boolean, now: Date): Promise<EncryptionMode> {
  const [plain] = await tx.query<unknown>(sql`SELECT 1 FROM integrations
    WHERE webhook_secret IS NOT NULL OR access_token IS NOT NULL OR refresh_token IS NOT NULL LIMIT 1`)
  const mode: EncryptionMode = adopted || plain ? 'off' : 'required'
  await keyChanges(tx).setMode(mode, now)
  return mode
}
