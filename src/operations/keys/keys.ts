import type { Instant } from '../../brands.ts'
import { jwk, type KeySet, newKey, purposes, type RootKey } from '../../crypto/key-set.ts'
import type { KeySource, KnownDatabase } from '../../crypto/key-source.ts'
import { badInput, conflict, IntegrationsError, keysMissing, notFound } from '../../errors.ts'
import { type IntegrationView, refOf } from '../../integration.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { DatedKey, KeyUsage, ListedKey } from '../../store/tables/keys.ts'
import type { DryRun } from '../change.ts'
import { commandLine } from '../texts.ts'

/** A key of a database, and how many values it encrypts, as far as is recorded. */
export interface Key extends ListedKey, Omit<KeyUsage, 'keyId'> {
  /** null: there is no usable key set. */
  readonly inKeySet: boolean | null
}

/** The keys of a database, and why the key set cannot be used, if so. */
export interface Keys {
  readonly keys: readonly Key[]
  readonly use: readonly KeyUsage[]
  readonly unusable: IntegrationsError | undefined
}

/** A change of a key: the key after it, and whether there was nothing to change. */
export interface KeyChange {
  readonly key: DatedKey
  readonly already: boolean
}

/** Makes the keys of a database that has none, as its first change would. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG */
export async function prepareKeys(store: Store): Promise<void> {
  const known = await store.read((db) => db.keys.list())
  if (known.length === 0) await verifyKeys(store)
}

/** Checks that the key set has the keys of the database, as every change does. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG, NOT_PERMITTED */
export const verifyKeys = (store: Store): Promise<void> => store.mutate(async () => {})

/** A complete key set for a new database, as a JWK Set. */
export const newKeySet = () => ({ keys: purposes.map((purpose) => jwk(newKey(purpose))) })

/** The keys that a database knows, and their usage. Works without a key set. */
export async function listKeys(store: Store, source: KeySource): Promise<Keys> {
  const [id, rows, use] = await store.read(
    async ({ keys }) => [await keys.id(), await keys.rows(), await keys.usage()] as const,
  )
  const { set, unusable } = await loaded(source, { id, keys: rows.filter(isReadable) })
  const { isKey } = await import('../../crypto/keyring.ts')
  const keys = rows.map(async (one): Promise<Key> => {
    const { current = 0, previous = 0, apps = 0 } = use.find(({ keyId }) => keyId === one.id) ?? {}
    const key = set?.get(one.id)
    return {
      ...one,
      current,
      previous,
      apps,
      inKeySet: set && isReadable(one) ? key !== undefined && isKey(key, one) : null,
    }
  })
  return { keys: await Promise.all(keys), use, unusable }
}

const isReadable = (key: ListedKey): key is DatedKey => !key.damage

async function loaded(
  source: KeySource,
  database: KnownDatabase,
): Promise<{ set?: KeySet; unusable: IntegrationsError | undefined }> {
  try {
    const set = await source.load(database)
    if (set.size > 0) return { set, unusable: undefined }
    return { unusable: await source.empty() }
  } catch (error) {
    if (error instanceof IntegrationsError) return { unusable: error }
    throw error
  }
}

/**
 * Makes an encryption key, adds it to the key set, and registers it with the database. The key decrypts from then on, and
 * encrypts once it is active.
 *
 * @returns the key; where the key set is read-only, also as a JWK that is not registered yet
 * @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG, NOT_PERMITTED
 */
export async function addKey(
  store: Store,
  source: KeySource,
  { dryRun }: DryRun,
): Promise<KeyChange & { toStore?: ReturnType<typeof jwk> }> {
  await store.read((db) => db.keys.requireAdmin())
  // No key is made for another database's key set, or where changes are not allowed.
  if (!dryRun) await verifyKeys(store)
  const key = newKey('encryption')
  if (dryRun || !source.writable) {
    const planned = await store.mutate((tx) => register(tx, key), { dryRun: true })
    return source.writable ? planned : { ...planned, toStore: jwk(key) }
  }
  // The key set first: a key that the database alone knows could encrypt values, and would be lost.
  await source.add([key])
  return store.mutate((tx) => register(tx, key))
}

/** A key that a set has to hold. */
interface KeyInSet {
  readonly source: KeySource
  readonly id: string
}

/** Registers a key of the key set with the database. @throws KEYS_MISSING, BAD_INPUT, NOT_PERMITTED, CONFLICT when the key is retired */
export const registerKey = (store: Store, { source, id }: KeyInSet, options: DryRun): Promise<KeyChange> =>
  store.mutate(async (tx) => {
    await tx.keys.requireAdmin()
    const known = (await tx.keys.list()).find((key) => key.id === id)
    if (known) {
      requireEncryptionKey(known)
      if (known.state === 'retired') throw retired(id)
      return { key: known, already: true }
    }
    const key = inSet(tx, { source, id })
    if (key.use !== 'enc') throw badInput(`the key ${id} is not an encryption key`, 'name a key whose "use" is "enc"')
    return register(tx, key)
  }, options)

async function register(tx: Transaction, key: RootKey): Promise<KeyChange> {
  const { checkValue } = await import('../../crypto/keyring.ts')
  const { id } = key
  const known = { id, purpose: 'encryption', state: 'decrypt-only', checkValue: checkValue(key) } as const
  await tx.keys.insert(known, tx.now)
  await tx.record({ action: 'keys.add', target: target(id), keyId: id })
  return { key: await find(tx, id), already: false }
}

/**
 * Encrypts with another key from now on; the key that was active keeps decrypting.
 *
 * @throws NOT_FOUND, NOT_PERMITTED, BAD_INPUT for a key of another purpose, KEYS_MISSING when the key is not in the key set, CONFLICT
 *   when it is retired
 */
export const activateKey = (store: Store, { source, id }: KeyInSet, options: DryRun): Promise<KeyChange> =>
  store.mutate(async (tx) => {
    await tx.keys.requireAdmin()
    const key = await find(tx, id)
    if (key.state === 'retired') throw retired(id)
    inSet(tx, { source, id })
    if (key.state === 'active') return { key, already: true }
    await tx.keys.setState(tx.keyring.encryptionKey.id, 'decrypt-only')
    await tx.keys.setState(id, 'active')
    await tx.record({ action: 'keys.activate', target: target(id), keyId: id })
    return { key: { ...key, state: 'active' }, already: false }
  }, options)

/**
 * Retires a key that no value needs any more.
 *
 * @throws NOT_FOUND, NOT_PERMITTED, BAD_INPUT for a key of another purpose, CONFLICT while the key is active, encrypts a value, or may
 *   encrypt new tokens that a refresh has left in a file
 */
export const retireKey = (store: Store, id: string, options: DryRun): Promise<KeyChange> =>
  store.mutate(async (tx) => {
    await tx.keys.requireAdmin()
    const key = await find(tx, id)
    if (key.state === 'retired') return { key, already: true }
    if (key.state === 'active')
      throw conflict(
        `the key ${id} is active`,
        'first add another key with integrations keys add, and activate it with integrations keys activate <id>',
      )
    const usage = await tx.keys.usage()
    const unreadable = usage.find(({ damage }) => damage)
    if (unreadable) throw conflict(`${unreadableKey(unreadable)}, and may be the key ${id}`, unreadableKeyHint)
    const use = usage.find(({ keyId }) => keyId === id)
    if (use && use.current + use.previous + use.apps > 0)
      throw conflict(`the key ${id} still encrypts values: ${counted(use)}`, 'integrations keys reencrypt')
    const since = await tx.audit.encryptionKeySince()
    const unresolved = since === null ? undefined : await unresolvedBefore(tx, since)
    if (unresolved)
      throw conflict(
        `the outcome of a refresh of ${refOf(unresolved)} is unknown, and new tokens may be in a file that needs the key ${id}`,
        `on the machine that ran the refresh: ${commandLine('recover', [unresolved.id])}`,
      )
    await tx.keys.setState(id, 'retired')
    await tx.record({ action: 'keys.retire', target: target(id), keyId: id })
    return { key: { ...key, state: 'retired' }, already: false }
  }, options)

/** An integration with a refresh whose outcome is unknown, and which began before an instant. */
async function unresolvedBefore(tx: Transaction, instant: Instant): Promise<IntegrationView | undefined> {
  for (const { startedAt, integrationId, leased, damage } of await tx.refresh.open()) {
    const [integration] =
      damage || startedAt < instant ? await tx.integrations.match({ by: 'id', value: integrationId }, 1) : []
    // If the integration has another refresh token by now, the tokens in the file are of no use.
    if (integration && (damage || leased || integration.tokenRefresh !== null)) return integration
  }
  return undefined
}

async function find(tx: Transaction, id: string): Promise<DatedKey> {
  const key = (await tx.keys.list()).find((known) => known.id === id)
  if (!key) throw notFound(`there is no key ${JSON.stringify(id)}`, 'integrations keys list')
  requireEncryptionKey(key)
  return key
}

function requireEncryptionKey({ id, purpose }: DatedKey): void {
  if (purpose !== 'encryption')
    throw badInput(
      `the key ${id} is the ${purpose} key, which cannot be replaced`,
      'name an encryption key; integrations keys list shows them',
    )
}

function inSet({ keyring }: Transaction, { source, id }: KeyInSet): RootKey {
  const key = keyring.keys.get(id)
  if (!key)
    throw keysMissing(
      `the key ${id} is not in the key set (${source.name})`,
      'add the key to the key set on every machine that uses this database',
    )
  return key
}

const retired = (id: string) => conflict(`the key ${id} is retired`, 'integrations keys add')

const target = (id: string) => ({ type: 'key', id, name: null }) as const

/** What is wrong with values of which it cannot be read which key they need. */
export const unreadableKey = (use: KeyUsage): string => `the key of some values cannot be read (${counted(use)})`

/** What mends it. */
export const unreadableKeyHint =
  'integrations audit verify names them; replace each with integrations rotate <ref> --end-previous --grace 0'

/** How many values a key encrypts, in words. */
export const counted = ({ current, previous, apps }: Pick<KeyUsage, 'current' | 'previous' | 'apps'>): string =>
  `${current} current, ${previous} previous${apps > 0 ? `, ${apps} of apps` : ''}`
