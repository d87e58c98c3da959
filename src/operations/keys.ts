import { badInput, IntegrationsError } from '../errors.ts'
import type { DatedKey, KeyUse, SealingMode } from '../store/keys.ts'
import type { KeySource } from '../store/ready.ts'
import type { Changes, Rows, Store } from '../store/store.ts'
import type { StoredValue } from '../store/stored-values.ts'
import { jwk, type KeySet, newKey, type RootKey } from '../vault/key-set.ts'

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
  readonly use: readonly KeyUse[]
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
  const known = await store.read((rows) => rows.keys.list())
  if (known.length === 0) await verifyKeys(store)
}

/** Finds the keys of the database in the set, as every change does. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG, NOT_PERMITTED */
export const verifyKeys = (store: Store): Promise<void> => store.mutate(async () => {})

/** A complete key set for a new database, as a JWK Set. */
export const newKeySet = () => ({ keys: (['seal', 'fingerprint', 'audit'] as const).map((use) => jwk(newKey(use))) })

/** The keys that a database knows, and how they are used. Needs no key. */
export async function listKeys(store: Store, source: KeySource): Promise<Keys> {
  const [known, use] = await store.read(async (rows) => [await rows.keys.list(), await rows.keys.use()] as const)
  const { set, unusable } = await loaded(source)
  const { isKey } = await import('../vault/vault.ts')
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
  const key = newKey('seal')
  if (dryRun || !source.writable) {
    const planned = await store.mutate((rows) => register(rows, key), { dryRun: true })
    return source.writable ? planned : { ...planned, toStore: jwk(key) }
  }
  // First the set: a key that a database knows and nobody has would be worse than one that it does not know.
  await source.add([key])
  return store.mutate((rows) => register(rows, key))
}

/** Tells the database of a key that is in the set already. @throws KEYS_MISSING when it is not, BAD_INPUT, CONFLICT when it was retired */
export const registerKey = (store: Store, source: KeySource, id: string, options: Options): Promise<KeyChange> =>
  store.mutate(async (rows) => {
    const known = (await rows.keys.list()).find((key) => key.id === id)
    if (known) {
      requireSeal(known)
      if (known.state === 'retired') throw retired(id)
      return { key: known, already: true }
    }
    const key = inSet(rows, source, id)
    if (key.use !== 'enc') throw badInput(`the key ${id} is not one that seals`, 'name one whose "use" is "enc"')
    return register(rows, key)
  }, options)

async function register(rows: Changes, { id, ...key }: RootKey): Promise<KeyChange> {
  const { checkValue } = await import('../vault/vault.ts')
  await rows.keys.insert(id, 'seal', 'decrypt-only', await checkValue({ id, ...key }), rows.now)
  await rows.record({ action: 'keys.add', target: target(id), keyId: id })
  return { key: await find(rows, id), already: false }
}

/**
 * Seals with another key from now on; the one before goes on opening what it has sealed.
 *
 * @throws NOT_FOUND, BAD_INPUT for a key that does not seal, KEYS_MISSING when it is not in the set, CONFLICT when it
 *   was retired
 */
export const activateKey = (store: Store, source: KeySource, id: string, options: Options): Promise<KeyChange> =>
  store.mutate(async (rows) => {
    const key = await find(rows, id)
    if (key.state === 'retired') throw retired(id)
    inSet(rows, source, id)
    if (key.state === 'active') return { key, already: true }
    await rows.keys.setState(rows.vault.sealing.id, 'decrypt-only')
    await rows.keys.setState(id, 'active')
    await rows.record({ action: 'keys.activate', target: target(id), keyId: id })
    return { key: { ...key, state: 'active' }, already: false }
  }, options)

/**
 * Gives up a key that seals nothing any more.
 *
 * @throws NOT_FOUND, BAD_INPUT for a key that does not seal, CONFLICT while it is active or seals anything
 */
export const retireKey = (store: Store, id: string, options: Options): Promise<KeyChange> =>
  store.mutate(async (rows) => {
    const key = await find(rows, id)
    if (key.state === 'retired') return { key, already: true }
    if (key.state === 'active')
      throw new IntegrationsError(
        'CONFLICT',
        `the key ${id} is the one that seals now`,
        'integrations keys add, then integrations keys activate with the new one',
      )
    const use = (await rows.keys.use()).find(({ keyId }) => keyId === id)
    if (use && use.current + use.previous + use.apps > 0)
      throw new IntegrationsError(
        'CONFLICT',
        `the key ${id} still seals values: ${counted(use)}`,
        'integrations keys reencrypt',
      )
    await rows.keys.setState(id, 'retired')
    await rows.record({ action: 'keys.retire', target: target(id), keyId: id })
    return { key: { ...key, state: 'retired' }, already: false }
  }, options)

async function find(rows: Changes, id: string): Promise<DatedKey> {
  const key = (await rows.keys.list()).find((known) => known.id === id)
  if (!key)
    throw new IntegrationsError(
      'NOT_FOUND',
      `this database knows no key ${JSON.stringify(id)}`,
      'integrations keys list',
    )
  requireSeal(key)
  return key
}

function requireSeal({ id, purpose }: DatedKey): void {
  if (purpose !== 'seal')
    throw badInput(
      `the key ${id} is the ${purpose} key, which stays for as long as the database does`,
      'name a key that seals; integrations keys list shows them',
    )
}

function inSet({ vault }: Changes, source: KeySource, id: string): RootKey {
  const key = vault.keys.get(id)
  if (!key)
    throw new IntegrationsError(
      'KEYS_MISSING',
      `the key ${id} is not in the key set (${source.name})`,
      'add it there first, on every machine that uses this database',
    )
  return key
}

const retired = (id: string) =>
  new IntegrationsError('CONFLICT', `the key ${id} was retired`, 'make another with integrations keys add')

const target = (id: string) => ({ type: 'key', id, name: null }) as const

/** How the values of a database are sealed. */
export interface KeyStatus {
  /** null: not decided yet, which the first change does. */
  readonly mode: SealingMode | null
  readonly activeKey: string | null
  /**
   * How many current values nothing seals: in `required`, as they are stored, null where these may not be read; else
   * those of which the version is known.
   */
  readonly plain: number | null
  /** How many values the application has written that nobody has read yet; null in `required`, where it may write none. */
  readonly unread: number | null
  readonly keys: readonly Key[]
  /** What is not as it should be, and what to type. */
  readonly problems: readonly { readonly problem: string; readonly hint: string }[]
}

/** Looks whether the values of a database are sealed as they should be, and whether its keys are in the set. Opens none. */
export async function keyStatus(store: Store, source: KeySource): Promise<KeyStatus> {
  const { keys, use, unusable } = await listKeys(store, source)
  const { mode } = await store.read((rows) => rows.keys.settings())
  const activeKey = keys.find(({ purpose, state }) => purpose === 'seal' && state === 'active')?.id ?? null
  const recorded = use.find(({ keyId }) => keyId === null)?.current ?? 0
  const plain = mode === 'required' ? await plainIfPermitted(store) : recorded
  // Who may not read secrets may not ask whether there is one either; in `required` that is a role of its own.
  const unread = mode === 'required' ? null : await store.read((rows) => rows.keys.unread())
  const problems = [...sealingProblems(mode, activeKey, use), ...keyProblems(keys, source)]
  if (mode === 'required' && plain !== null && plain > 0)
    problems.unshift({
      problem: `current values are not sealed, which this database demands: ${plain}`,
      hint: 'find out who wrote them: integrations audit verify; then integrations rotate --force --grace 0',
    })
  if (mode !== null && activeKey === null)
    problems.push({
      problem: 'this database knows no key that seals, though it has had one',
      hint: 'restore its table integration_keys from a backup',
    })
  // One that knows no key takes whatever there is, or makes it.
  if (unusable && keys.length > 0)
    problems.push({
      problem: `the key set cannot be used, and whether it is the right one is not known: ${unusable.message}`,
      hint: unusable.hint,
    })
  return { mode, activeKey, plain, unread, keys, problems }
}

/** How many values a key seals, in words. */
export const counted = ({ current, previous, apps }: Pick<KeyUse, 'current' | 'previous' | 'apps'>): string =>
  `${current} current, ${previous} previous${apps > 0 ? `, ${apps} of apps` : ''}`

async function plainIfPermitted(store: Store): Promise<number | null> {
  try {
    return await store.snapshot((rows) => countPlain(rows, (value) => value.current))
  } catch (error) {
    if (error instanceof IntegrationsError && error.code === 'NOT_PERMITTED') return null
    throw error
  }
}

/** How many of the stored values that are asked for nothing seals. */
async function countPlain(rows: Rows, wanted: (value: StoredValue) => boolean): Promise<number> {
  let plain = 0
  for await (const { values } of rows.storedValues.pages())
    plain += values.filter((value) => value.text !== null && value.keyId === null && wanted(value)).length
  return plain
}

function sealingProblems(mode: SealingMode | null, activeKey: string | null, use: readonly KeyUse[]) {
  const hint = 'integrations keys reencrypt'
  return use.flatMap((one) => {
    const { keyId, current } = one
    if (keyId === null) return []
    if (keyId !== activeKey)
      return [
        {
          problem: `the key ${keyId}, which is not active, seals values: ${counted(one)}`,
          hint,
        },
      ]
    if (mode === 'off' && current > 0)
      return [{ problem: `current values are sealed, which the application cannot read: ${current}`, hint }]
    return []
  })
}

const keyProblems = (keys: readonly Key[], source: KeySource) =>
  keys
    .filter(({ state, inKeySet }) => state !== 'retired' && inKeySet === false)
    .map(({ id }) => ({
      problem: `the key ${id} is not in the key set (${source.name}), or another is there by its id`,
      hint: 'restore it there from a backup, or from a machine that has it',
    }))

/** The modes in the order in which a database passes through them. */
export const modes = ['off', 'migrating', 'required'] as const satisfies readonly SealingMode[]

/** How secrets are stored from now on. */
export interface ModeChange {
  readonly before: SealingMode
  readonly mode: SealingMode
}

/**
 * Changes how secrets are stored from now on, one step at a time; those that are stored stay as they are.
 *
 * @throws CONFLICT for two steps at once, and for `required` while a value is not sealed
 */
export const changeMode = (store: Store, mode: SealingMode, options: Options): Promise<ModeChange> =>
  store.mutate(async (rows) => {
    const before = rows.settings.mode
    if (mode === before) return { before, mode }
    if (Math.abs(modes.indexOf(mode) - modes.indexOf(before)) > 1)
      throw new IntegrationsError(
        'CONFLICT',
        `there is no way from ${before} to ${mode} but through migrating`,
        'integrations keys mode migrating',
      )
    if (mode === 'required') await requireSealed(rows)
    await rows.keys.setMode(mode, rows.now)
    await rows.record({
      action: 'keys.mode',
      target: { type: 'database', id: rows.settings.id, name: null },
      fields: [`${before}>${mode}`],
    })
    return { before, mode }
  }, options)

async function requireSealed(rows: Changes): Promise<void> {
  const plain = await countPlain(rows, () => true)
  if (plain > 0)
    throw new IntegrationsError(
      'CONFLICT',
      `there are values that are not sealed yet: ${plain}`,
      'integrations keys reencrypt',
    )
}
