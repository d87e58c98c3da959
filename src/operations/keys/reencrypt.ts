import type { KeySource } from '../../crypto/key-source.ts'
import { openKeyring } from '../../crypto/keyring.ts'
import { conflict, IntegrationsError, isDecryptionFailure } from '../../errors.ts'
import type { SecretField } from '../../integration.ts'
import { previousValuesOf } from '../../store/audit/head.ts'
import { isReencrypted, type Reencrypted } from '../../store/secrets/reencrypt.ts'
import { isAsModeAsks, type StoredCursor } from '../../store/secrets/stored.ts'
import type { Reader, Store, Transaction } from '../../store/store.ts'
import { activeKeyOf, type EncryptionMode, unknownMode } from '../../store/tables/keys.ts'
import { verifyKeys } from './keys.ts'

/** A value that cannot be decrypted. */
export interface Undecryptable {
  /** Of the integration, or the app. */
  readonly id: string
  /** The workspace and name of the integration, or the name of the app. */
  readonly name: string
  readonly field: SecretField | 'clientSecret'
  readonly error: IntegrationsError
}

/** The result of re-encryption. */
export interface Reencryption {
  /** null: not decided before the first change. */
  readonly mode: EncryptionMode | null
  /** The active key. */
  readonly keyId: string | null
  readonly changed: number
  readonly undecryptable: readonly Undecryptable[]
}

/** What re-encryption may do. */
export interface ReencryptionOptions {
  /** Store current values plain, where the mode asks for it. */
  readonly decrypt: boolean
}

/** How re-encryption goes on. */
interface ReencryptionRun extends ReencryptionOptions {
  /** Receives how many integrations are done, and how many there are. */
  readonly progress: (done: number, of: number) => void
}

/**
 * Brings every value to the form that the mode asks for: current values are plain in `off`; all others are encrypted with
 * the active key. Each page is a transaction of its own, so a run can be interrupted and repeated. A value that cannot
 * be decrypted stays as it is.
 *
 * @throws NOT_PERMITTED, KEYS_INVALID, KEYS_MISSING, KEY_WRONG, CONFLICT when a value was written again and again meanwhile, INPUT_REQUIRED
 *   where current values are to be decrypted and `decrypt` is not set
 */
export async function reencrypt(
  store: Store,
  source: KeySource,
  { decrypt, progress }: ReencryptionRun,
): Promise<Reencryption> {
  await store.read((db) => db.keys.requireAdmin())
  // Another database's keys are refused even when there is nothing to do.
  await verifyKeys(store)
  const of = await store.read((db) => db.integrations.count({}))
  let changed = 0
  const undecryptable: Undecryptable[] = []
  let page: Page | undefined
  for (let done = 0; page === undefined || page.next !== undefined; ) {
    const cursor: StoredCursor | undefined = page?.next
    const read = await store.snapshot((db) => readPage(db, { source, decrypt, whole: false }, cursor))
    // A finished page takes no write transaction, which others would wait for.
    page = read.finished ? read : await store.mutate((tx) => reencryptPage(tx, cursor))
    changed += page.changed
    undecryptable.push(...page.undecryptable)
    done += page.integrations
    progress(done, of)
  }
  const apps = await reencryptApps(store)
  return {
    mode: page.mode,
    keyId: page.keyId,
    changed: changed + apps.changed,
    undecryptable: [...undecryptable, ...apps.undecryptable],
  }
}

/** Encrypts the secrets of OAuth apps with the active key, whatever the mode. */
async function reencryptApps(store: Store): Promise<Pick<Reencryption, 'changed' | 'undecryptable'>> {
  const left = await store.read(async (db) => {
    const keyId = activeKeyOf(await db.keys.list())
    return (await db.apps.list()).some((app) => app.keyId !== keyId)
  })
  if (!left) return { changed: 0, undecryptable: [] }
  return store.mutate(async (tx) => {
    const undecryptable: Undecryptable[] = []
    let changed = 0
    for (const app of await tx.apps.stored()) {
      if (app.keyId === tx.keyring.encryptionKey.id) continue
      const failed = await attemptDecryption({ ...app, field: 'clientSecret' }, () => tx.apps.reencrypt(app))
      if (failed) undecryptable.push(failed)
      else changed++
    }
    if (changed > 0) await recordReencryption(tx, changed)
    return { changed, undecryptable }
  })
}

const recordReencryption = ({ settings, keyring, record }: Transaction, count: number): Promise<void> =>
  record({
    action: 'keys.reencrypt',
    target: { type: 'database', id: settings.id, name: null },
    keyId: keyring.encryptionKey.id,
    count,
  })

/** What re-encryption would change, and which values cannot be decrypted. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG */
export const planReencryption = (
  store: Store,
  source: KeySource,
  { decrypt }: ReencryptionOptions,
): Promise<Reencryption> =>
  store.snapshot(async (db) => {
    // The first change decides the mode, and leaves stored values as they are.
    if ((await db.keys.settings()).mode === null) return { mode: null, keyId: null, changed: 0, undecryptable: [] }
    let changed = 0
    const undecryptable: Undecryptable[] = []
    let page: ReadPage | undefined
    while (page === undefined || page.next !== undefined) {
      page = await readPage(db, { source, decrypt, whole: true }, page?.next)
      changed += page.changed
      undecryptable.push(...page.undecryptable)
    }
    changed += (await db.apps.list()).filter((app) => app.keyId !== page?.keyId).length
    return { mode: page.mode, keyId: page.keyId, changed, undecryptable }
  })

/** How a page is read. */
interface PageReading extends ReencryptionOptions {
  readonly source: KeySource
  /** Whether to go on after a value that is left to do, with which the transaction that does it reads the page again. */
  readonly whole: boolean
}

/** Decrypts the values of a page; `changed` counts the values to re-encrypt. */
async function readPage(
  db: Reader,
  { source, decrypt, whole }: PageReading,
  cursor: StoredCursor | undefined,
): Promise<ReadPage> {
  const { mode, head } = await db.keys.settings()
  if (mode === null) throw unknownMode()
  const known = await db.keys.known()
  const set = await source.load(known)
  if (set.size === 0) throw await source.empty()
  const keyring = openKeyring(set, known.keys, source.name)
  const { values, integrations, next } = await db.storedValues.page(cursor)
  const decryption = { keyring, mode, previous: previousValuesOf(head) }
  const keyId = keyring.encryptionKey.id
  const undecryptable: Undecryptable[] = []
  let finished = true
  let changed = 0
  if (mode === 'off' && !decrypt && values.some(({ current, keyId: encryptedBy }) => current && encryptedBy !== null))
    throw new IntegrationsError({
      code: 'INPUT_REQUIRED',
      message: '--decrypt is required: the mode is off, so current values would be stored plain',
      hint: 'pass --decrypt, or keep values encrypted with integrations keys mode migrating',
    })
  for (const value of values) {
    const outcome = await attemptDecryption(value, async () => isReencrypted(decryption, value))
    if (typeof outcome !== 'boolean') undecryptable.push(outcome)
    else if (!outcome) {
      finished = false
      // A value that the application wrote or cleared only has to be recorded, if its form is right.
      if (!isAsModeAsks(value, mode, keyId)) changed++
      if (!whole) break
    }
  }
  return { finished, changed, undecryptable, mode, keyId, integrations, next }
}

interface Page extends Reencryption {
  readonly integrations: number
  readonly next: StoredCursor | undefined
}

interface ReadPage extends Page {
  /** Nothing is left to do, except for values that cannot be decrypted. */
  readonly finished: boolean
}

/** How often a page is tried when the application writes a value between our read and our write. */
const maxAttempts = 5

async function reencryptPage(tx: Transaction, cursor: StoredCursor | undefined): Promise<Page> {
  let changed = 0
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const { values, integrations, next } = await tx.storedValues.page(cursor)
    const undecryptable: Undecryptable[] = []
    const due: Reencrypted[] = []
    for (const value of values) {
      const outcome = await attemptDecryption(value, () => tx.storedValues.reencryptValue(value))
      if (outcome && 'error' in outcome) undecryptable.push(outcome)
      else if (outcome) due.push(outcome)
    }
    const written = await tx.storedValues.writeReencrypted(due)
    changed += written
    if (written < due.length) continue
    const { mode } = tx.settings
    const keyId = tx.keyring.encryptionKey.id
    if (changed > 0) await recordReencryption(tx, changed)
    return { mode, keyId, changed, undecryptable, integrations, next }
  }
  throw conflict(
    'the application wrote a secret each time before it could be encrypted again',
    'when the application is less busy, run integrations keys reencrypt',
  )
}

/** The result of `work`, or why the value cannot be decrypted. */
async function attemptDecryption<T>(
  { id, name, field }: Omit<Undecryptable, 'error'>,
  work: () => Promise<T>,
): Promise<T | Undecryptable> {
  try {
    return await work()
  } catch (error) {
    if (!isDecryptionFailure(error)) throw error
    return { id, name, field, error }
  }
}
