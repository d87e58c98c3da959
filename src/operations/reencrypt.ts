import { IntegrationsError } from '../errors.ts'
import type { SecretField } from '../integration.ts'
import type { FingerprintChanges } from '../store/fingerprints.ts'
import type { SealingMode } from '../store/keys.ts'
import type { Changes, Rows, Store } from '../store/store.ts'
import { isSettled, type StoredValue } from '../store/stored-values.ts'
import { targetOf } from './change.ts'
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
  readonly mode: SealingMode
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
export async function reencrypt(store: Store, progress: Progress): Promise<Reencryption> {
  // Keys that are not this database's are refused, whether there is anything to do or not.
  await verifyKeys(store)
  const of = await store.read((rows) => rows.integrations.count({}))
  let changed = 0
  const unopened: Unopened[] = []
  let page: SettledPage | undefined
  for (let done = 0; page === undefined || page.next !== undefined; ) {
    const after: string | undefined = page?.next
    page =
      (await store.read((rows) => finishedPage(rows, after))) ?? (await store.mutate((rows) => settlePage(rows, after)))
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

/** A page on which nothing is left to do; undefined when something may be. It keeps nobody waiting. */
async function finishedPage(rows: Rows, after: string | undefined): Promise<SettledPage | undefined> {
  const { mode, keyId } = await sealing(rows)
  const { values, integrations, next } = await rows.storedValues.page(after)
  // Whether the application wrote a plain value is seen by its fingerprint, and that needs a key.
  const finished = values.every((value) => value.keyId !== null && isSettled(value, mode, keyId))
  return finished ? { mode, keyId, changed: 0, unopened: [], integrations, next } : undefined
}

/** Seals the secrets of OAuth apps with the active key, whatever the mode. */
async function resealApps(store: Store): Promise<Pick<Reencryption, 'changed' | 'unopened'>> {
  const left = await store.read(async (rows) => {
    const { keyId } = await sealing(rows)
    return (await rows.apps.list()).some((app) => app.keyId !== keyId)
  })
  if (!left) return { changed: 0, unopened: [] }
  return store.mutate(async (rows) => {
    const unopened: Unopened[] = []
    let changed = 0
    for (const app of await rows.apps.stored()) {
      if (app.keyId === rows.vault.sealing.id) continue
      try {
        await rows.apps.reseal(app)
        changed++
      } catch (error) {
        if (!isUnopened(error)) throw error
        unopened.push({ id: app.id, name: app.name, field: 'clientSecret', error })
      }
    }
    if (changed > 0) await recordReencryption(rows, changed)
    return { changed, unopened }
  })
}

const isUnopened = (error: unknown): error is IntegrationsError =>
  error instanceof IntegrationsError && (error.code === 'SEAL_BROKEN' || error.code === 'KEY_UNKNOWN')

const recordReencryption = ({ settings, vault, record }: Changes, count: number): Promise<void> =>
  record({
    action: 'keys.reencrypt',
    target: { type: 'database', id: settings.id, name: null },
    keyId: vault.sealing.id,
    count,
  })

async function sealing(rows: Rows): Promise<{ mode: SealingMode; keyId: string | null }> {
  const { mode } = await rows.keys.settings()
  const active = (await rows.keys.list()).find(({ purpose, state }) => purpose === 'seal' && state === 'active')
  return { mode, keyId: active?.id ?? null }
}

/** How many values re-encryption would change. No value is opened, so no key is needed. */
export const planReencryption = (store: Store): Promise<Reencryption> =>
  store.snapshot(async (rows) => {
    const { mode, keyId } = await sealing(rows)
    let changed = 0
    for await (const { values } of rows.storedValues.pages())
      changed += values.filter((value) => !isSettled(value, mode, keyId)).length
    changed += (await rows.apps.list()).filter((app) => app.keyId !== keyId).length
    return { mode, keyId, changed, unopened: [] }
  })

interface SettledPage extends Reencryption {
  readonly integrations: number
  readonly next: string | undefined
}

/** How often a page is read again because the application wrote a value between our reading and writing it. */
const rounds = 5

async function settlePage(rows: Changes, after: string | undefined): Promise<SettledPage> {
  let changed = 0
  for (let round = 0; round < rounds; round++) {
    const { values, integrations, next } = await rows.storedValues.page(after)
    const unopened: Unopened[] = []
    let lost = 0
    for (const value of values) {
      const outcome = await settled(rows, value)
      if (outcome === 'changed') changed++
      else if (outcome === 'lost') lost++
      else if (outcome !== 'settled') unopened.push(outcome)
    }
    if (lost > 0) continue
    const { mode } = rows.settings
    const keyId = rows.vault.sealing.id
    if (changed > 0) await recordReencryption(rows, changed)
    return { mode, keyId, changed, unopened, integrations, next }
  }
  throw new IntegrationsError(
    'CONFLICT',
    'the application wrote a secret each time that it was about to be sealed anew',
    'run it again when the application is less busy; what is done stays done',
  )
}

async function settled(rows: Changes, value: StoredValue): Promise<'changed' | 'settled' | 'lost' | Unopened> {
  const noticed: FingerprintChanges[number][] = []
  try {
    const outcome = await rows.storedValues.settle(value, (changes) => noticed.push(...changes))
    const [integration] = noticed.length > 0 ? await rows.integrations.match({ id: value.id }, 1) : []
    if (integration)
      await rows.record({ action: 'secret.notice', target: targetOf(integration), fingerprints: noticed })
    return outcome
  } catch (error) {
    if (!isUnopened(error)) throw error
    const [integration] = await rows.integrations.match({ id: value.id }, 1)
    const name = integration ? `${integration.workspace}/${integration.name}` : value.id
    return { id: value.id, name, field: value.field, error }
  }
}
