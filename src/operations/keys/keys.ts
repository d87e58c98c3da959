import { jwk, type KeySet, newKey, purposes, type RootKey } from '../../crypto/key-set.ts'
import type { KeySource } from '../../crypto/key-source.ts'
import { badInput, IntegrationsError, shellWord } from '../../errors.ts'
import { type Instant, type IntegrationView, refOf } from '../../integration.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { DatedKey, KeyUsage } from '../../store/tables/keys.ts'

/** A key of a database. */
export interface Key extends DatedKey {
  /** How many current values it seals, as far as is recorded. */
  readonly current: number
  /** How many values before the current ones it seals. */
  readonly previous: number
  /** How many secrets of OAuth apps it seals. */
  readonly apps: number
  /** null: there is no key set, or it cannot be used. */
  readonly inKeySet: boolean | null
}

/** The keys of a database, and why the key set could not be looked at. */
export interface Keys {
  readonly keys: readonly Key[]
  readonly use: readonly KeyUsage[]
  readonly unusable: IntegrationsError | undefined
}

/** A change of a key: what it is now, and whether it was so already. */
export interface KeyChange {
  readonly key: DatedKey
  readonly already: boolean
}

/** How a change of keys is to be made. */
interface Options {
  /** Do everything but the change itself. */
  readonly dryRun: boolean
}

/** Makes the keys of a database that knows none yet, as its first change would. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG */
export async function prepareKeys(store: Store): Promise<void> {
  const known = await store.read((db) => db.keys.list())
  if (known.length === 0) await verifyKeys(store)
}

/** Finds the keys of the database in the set, as every change does. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG, NOT_PERMITTED */
export const verifyKeys = (store: Store): Promise<void> => store.mutate(async () => {})

/** A complete key set for a new database, as a JWK Set. */
export const newKeySet = () => ({ keys: purposes.map((purpose) => jwk(newKey(purpose))) })

/** The keys that a database knows, and how they are used. Needs no key. */
export async function listKeys(store: Store, source: KeySource): Promise<Keys> {
  const [known, use] = await store.read(async (db) => [await db.keys.list(), await db.keys.usage()] as const)
  const { set, unusable } = await loaded(source)
  const { isKey } = await import('../../crypto/keyring.ts')
  const keys = known.map(async (one): Promise<Key> => {
    const { current = 0, previous = 0, apps = 0 } = use.find(({ keyId }) => keyId === one.id) ?? {}
    const key = set?.get(one.id)
    return { ...one, current, previous, apps, inKeySet: set ? key !== undefined && (await isKey(key, one)) : null }
  })
  return { keys: await Promise.all(keys), use, unusable }
}

async function loaded(source: KeySource): Promise<{ set?: KeySet; unusable: IntegrationsError | undefined }> {
  try {
    const set = await source.load()
    if (set.size > 0) return { set, unusable: undefined }
    return { unusable: await source.empty() }
  } catch (error) {
    if (error instanceof IntegrationsError) return { unusable: error }
    throw error
  }
}

/**
 * Makes a key that seals, adds it to the key set, and tells the database of it. It opens from then on, and seals once it
 * is active.
 *
 * @returns the key; where the set cannot be written from here, also as a JWK, of which nobody has been told yet
 * @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG
 */
export async function addKey(
  store: Store,
  source: KeySource,
  { dryRun }: Options,
): Promise<KeyChange & { toStore?: ReturnType<typeof jwk> }> {
  // Neither is a key made for a set that is not this database's, nor where nothing may be changed.
  if (!dryRun) await verifyKeys(store)
  const key = newKey('encryption')
  if (dryRun || !source.writable) {
    const planned = await store.mutate((tx) => register(tx, key), { dryRun: true })
    return source.writable ? planned : { ...planned, toStore: jwk(key) }
  }
  // First the set: a key that a database knows and nobody has would be worse than one that it does not know.
  await source.add([key])
  return store.mutate((tx) => register(tx, key))
}

/** Tells the database of a key that is in the set already. @throws KEYS_MISSING when it is not, BAD_INPUT, CONFLICT when it was retired */
export const registerKey = (store: Store, source: KeySource, id: string, options: Options): Promise<KeyChange> =>
  store.mutate(async (tx) => {
    const known = (await tx.keys.list()).find((key) => key.id === id)
    if (known) {
      requireEncryptionKey(known)
      if (known.state === 'retired') throw retired(id)
      return { key: known, already: true }
    }
    const key = inSet(tx, source, id)
    if (key.use !== 'enc') throw badInput(`the key ${id} is not one that seals`, 'name one whose "use" is "enc"')
    return register(tx, key)
  }, options)

async function register(tx: Transaction, key: RootKey): Promise<KeyChange> {
  const { checkValue } = await import('../../crypto/keyring.ts')
  const { id } = key
  const known = { id, purpose: 'encryption', state: 'decrypt-only', checkValue: await checkValue(key) } as const
  await tx.keys.insert(known, tx.now)
  await tx.record({ action: 'keys.add', target: target(id), keyId: id })
  return { key: await find(tx, id), already: false }
}

/**
 * Seals with another key from now on; the one before goes on opening what it has sealed.
 *
 * @throws NOT_FOUND, BAD_INPUT for a key that does not seal, KEYS_MISSING when it is not in the set, CONFLICT when it
 *   was retired
 */
export const activateKey = (store: Store, source: KeySource, id: string, options: Options): Promise<KeyChange> =>
  store.mutate(async (tx) => {
    const key = await find(tx, id)
    if (key.state === 'retired') throw retired(id)
    inSet(tx, source, id)
    if (key.state === 'active') return { key, already: true }
    await tx.keys.setState(tx.vault.encryptionKey.id, 'decrypt-only')
    await tx.keys.setState(id, 'active')
    await tx.record({ action: 'keys.activate', target: target(id), keyId: id })
    return { key: { ...key, state: 'active' }, already: false }
  }, options)

/**
 * Gives up a key that seals nothing any more.
 *
 * @throws NOT_FOUND, BAD_INPUT for a key that does not seal, CONFLICT while it is active or seals anything, or may seal
 *   new tokens that a refresh has left in a file
 */
export const retireKey = (store: Store, id: string, options: Options): Promise<KeyChange> =>
  store.mutate(async (tx) => {
    const key = await find(tx, id)
    if (key.state === 'retired') return { key, already: true }
    if (key.state === 'active')
      throw new IntegrationsError({
        code: 'CONFLICT',
        message: `the key ${id} is the one that seals now`,
        hint: 'integrations keys add, then integrations keys activate with the new one',
      })
    const use = (await tx.keys.usage()).find(({ keyId }) => keyId === id)
    if (use && use.current + use.previous + use.apps > 0)
      throw new IntegrationsError({
        code: 'CONFLICT',
        message: `the key ${id} still seals values: ${counted(use)}`,
        hint: 'integrations keys reencrypt',
      })
    const since = await tx.audit.encryptionKeySince()
    const unsettled = since === null ? undefined : await unsettledBefore(tx, since)
    if (unsettled)
      throw new IntegrationsError({
        code: 'CONFLICT',
        message: `a refresh of ${refOf(unsettled)} is not settled, and may have left new tokens in a file that the key ${id} seals`,
        hint: `integrations recover ${shellWord(unsettled.id)}, on the machine where it was refreshed`,
      })
    await tx.keys.setState(id, 'retired')
    await tx.record({ action: 'keys.retire', target: target(id), keyId: id })
    return { key: { ...key, state: 'retired' }, already: false }
  }, options)

/** An integration of which nobody knows how a refresh ended that was begun before an instant. */
async function unsettledBefore(tx: Transaction, instant: Instant): Promise<IntegrationView | undefined> {
  for (const { startedAt, integrationId, leased } of await tx.refresh.open()) {
    const [integration] = startedAt < instant ? await tx.integrations.match({ id: integrationId }, 1) : []
    // With another refresh token by now, what was left would be of no use.
    if (integration && (leased || integration.tokenRefresh !== null)) return integration
  }
  return undefined
}

async function find(tx: Transaction, id: string): Promise<DatedKey> {
  const key = (await tx.keys.list()).find((known) => known.id === id)
  if (!key)
    throw new IntegrationsError({
      code: 'NOT_FOUND',
      message: `this database knows no key ${JSON.stringify(id)}`,
      hint: 'integrations keys list',
    })
  requireEncryptionKey(key)
  return key
}

function requireEncryptionKey({ id, purpose }: DatedKey): void {
  if (purpose !== 'encryption')
    throw badInput(
      `the key ${id} is the ${purpose} key, which stays for as long as the database does`,
      'name a key that seals; integrations keys list shows them',
    )
}

function inSet({ vault }: Transaction, source: KeySource, id: string): RootKey {
  const key = vault.keys.get(id)
  if (!key)
    throw new IntegrationsError({
      code: 'KEYS_MISSING',
      message: `the key ${id} is not in the key set (${source.name})`,
      hint: 'add it there first, on every machine that uses this database',
    })
  return key
}

const retired = (id: string) =>
  new IntegrationsError({
    code: 'CONFLICT',
    message: `the key ${id} was retired`,
    hint: 'make another with integrations keys add',
  })

const target = (id: string) => ({ type: 'key', id, name: null }) as const

/** How many values a key seals, in words. */
export const counted = ({ current, previous, apps }: Pick<KeyUsage, 'current' | 'previous' | 'apps'>): string =>
  `${current} current, ${previous} previous${apps > 0 ? `, ${apps} of apps` : ''}`
