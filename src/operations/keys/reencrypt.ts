import type { KeySource } from '../../crypto/key-source.ts'
import { openKeyring } from '../../crypto/keyring.ts'
import { IntegrationsError, isDecryptionFailure } from '../../errors.ts'
import type { SecretField } from '../../integration.ts'
import { isReencrypted } from '../../store/secrets/reencrypt.ts'
import { isAsModeAsks, type StoredValue } from '../../store/secrets/stored.ts'
import type { Reader, Store, Transaction } from '../../store/store.ts'
import { type EncryptionMode, unknownMode } from '../../store/tables/keys.ts'
import { verifyKeys } from './keys.ts'

/** A value that does not open. */
export interface Unopened {
  /** Of the integration, or the app. */
  readonly id: string
  /** The workspace and name of the integration, or the name of the app. */
  readonly name: string
  readonly field: SecretField | 'clientSecret'
  readonly error: IntegrationsError
}

/** What re-encryption did. */
export interface Reencryption {
  /** null: not decided yet. */
  readonly mode: EncryptionMode | null
  /** The key that seals now. */
  readonly keyId: string | null
  readonly changed: number
  readonly unopened: readonly Unopened[]
}

/** Told how many integrations are done, of how many. */
export type Progress = (done: number, of: number) => void

/**
 * Brings every value to what the mode asks: current ones plain in `off`; all others sealed with the active key. Each page
 * is a transaction of its own, so that it can be broken off at any point and begun again. A value that does not open
 * stays as it is, and the others go on.
 *
 * @throws KEYS_MISSING, KEY_WRONG, CONFLICT when a value was written again and again meanwhile
 */
export async function reencrypt(store: Store, source: KeySource, progress: Progress): Promise<Reencryption> {
  // Keys that are not this database's are refused, whether there is anything to do or not.
  await verifyKeys(store)
  const of = await store.read((db) => db.integrations.count({}))
  let changed = 0
  const unopened: Unopened[] = []
  let page: SettledPage | undefined
  for (let done = 0; page === undefined || page.next !== undefined; ) {
    const after: string | undefined = page?.next
    const read = await store.read((db) => readPage(db, source, after))
    // One on which nothing is left to do keeps nobody waiting.
    page = read.finished ? read : await store.mutate((tx) => settlePage(tx, after))
    changed += page.changed
    unopened.push(...page.unopened)
    done += page.integrations
    progress(done, of)
  }
  const apps = await resealApps(store)
  return {
    mode: page.mode,
    keyId: page.keyId,
    changed: changed + apps.changed,
    unopened: [...unopened, ...apps.unopened],
  }
}

/** Seals the secrets of OAuth apps with the active key, whatever the mode. */
async function resealApps(store: Store): Promise<Pick<Reencryption, 'changed' | 'unopened'>> {
  const left = await store.read(async (db) => {
    const keyId = await activeKey(db)
    return (await db.apps.list()).some((app) => app.keyId !== keyId)
  })
  if (!left) return { changed: 0, unopened: [] }
  return store.mutate(async (tx) => {
    const unopened: Unopened[] = []
    let changed = 0
    for (const app of await tx.apps.stored()) {
      if (app.keyId === tx.vault.encryptionKey.id) continue
      try {
        await tx.apps.reencrypt(app)
        changed++
      } catch (error) {
        if (!isDecryptionFailure(error)) throw error
        unopened.push({ id: app.id, name: app.name, field: 'clientSecret', error })
      }
    }
    if (changed > 0) await recordReencryption(tx, changed)
    return { changed, unopened }
  })
}

const recordReencryption = ({ settings, vault, record }: Transaction, count: number): Promise<void> =>
  record({
    action: 'keys.reencrypt',
    target: { type: 'database', id: settings.id, name: null },
    keyId: vault.encryptionKey.id,
    count,
  })

async function activeKey(db: Reader): Promise<string | null> {
  const active = (await db.keys.list()).find(({ purpose, state }) => purpose === 'encryption' && state === 'active')
  return active?.id ?? null
}

/** How many values re-encryption would change, and which do not open. @throws KEYS_MISSING, KEY_WRONG */
export const planReencryption = (store: Store, source: KeySource): Promise<Reencryption> =>
  store.snapshot(async (db) => {
    // The first change leaves what is there as it is.
    if ((await db.keys.settings()).mode === null) return { mode: null, keyId: null, changed: 0, unopened: [] }
    let changed = 0
    const unopened: Unopened[] = []
    let page: ReadPage | undefined
    while (page === undefined || page.next !== undefined) {
      page = await readPage(db, source, page?.next)
      changed += page.changed
      unopened.push(...page.unopened)
    }
    changed += (await db.apps.list()).filter((app) => app.keyId !== page?.keyId).length
    return { mode: page.mode, keyId: page.keyId, changed, unopened }
  })

/** Opens the values of a page; `changed` is how many would be. */
async function readPage(db: Reader, source: KeySource, after: string | undefined): Promise<ReadPage> {
  const { mode } = await db.keys.settings()
  if (mode === null) throw unknownMode()
  const set = await source.load()
  if (set.size === 0) throw await source.empty()
  const vault = await openKeyring(set, await db.keys.list(), source.name)
  const { values, integrations, next } = await db.storedValues.page(after)
  const keyId = vault.encryptionKey.id
  const page = { finished: true, changed: 0, unopened: [] as Unopened[] }
  for (const value of values) {
    const outcome = await opening(value, () => isReencrypted(vault, mode, value))
    if (typeof outcome !== 'boolean') {
      page.unopened.push(outcome)
    } else if (!outcome) {
      page.finished = false
      // What the application wrote or cleared is recorded, and may be as it should be.
      if (!isAsModeAsks(value, mode, keyId)) page.changed++
    }
  }
  return { ...page, mode, keyId, integrations, next }
}

interface SettledPage extends Reencryption {
  readonly integrations: number
  readonly next: string | undefined
}

interface ReadPage extends SettledPage {
  /** Nothing is left to do on it, but for the values that do not open. */
  readonly finished: boolean
}

/** How often a page is read again because the application wrote a value between our reading and writing it. */
const rounds = 5

async function settlePage(tx: Transaction, after: string | undefined): Promise<SettledPage> {
  let changed = 0
  for (let round = 0; round < rounds; round++) {
    const { values, integrations, next } = await tx.storedValues.page(after)
    const unopened: Unopened[] = []
    let lost = 0
    for (const value of values) {
      const outcome = await opening(value, () => tx.storedValues.reencryptValue(value))
      if (outcome === 'changed') changed++
      else if (outcome === 'lost') lost++
      else if (outcome !== 'settled') unopened.push(outcome)
    }
    if (lost > 0) continue
    const { mode } = tx.settings
    const keyId = tx.vault.encryptionKey.id
    if (changed > 0) await recordReencryption(tx, changed)
    return { mode, keyId, changed, unopened, integrations, next }
  }
  throw new IntegrationsError({
    code: 'CONFLICT',
    message: 'the application wrote a secret each time that it was about to be sealed anew',
    hint: 'run it again when the application is less busy; what is done stays done',
  })
}

/** What `work` gives, or why a value does not open. */
async function opening<T>({ id, name, field }: StoredValue, work: () => Promise<T>): Promise<T | Unopened> {
  try {
    return await work()
  } catch (error) {
    if (!isDecryptionFailure(error)) throw error
    return { id, name, field, error }
  }
}
