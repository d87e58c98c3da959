import { badInput, IntegrationsError } from '../errors.ts'
import type { DatedKey, KeyUse, SealingMode } from '../store/keys.ts'
import type { KeySource } from '../store/ready.ts'
import type { Changes, Store } from '../store/store.ts'
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

/** A change of a key: whether it was so already. */
export interface KeyChange {
  readonly id: string
  readonly already: boolean
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
 * @returns its id; where the set cannot be written from here, the key as a JWK, of which nobody has been told yet
 * @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG
 */
export async function addKey(
  store: Store,
  source: KeySource,
): Promise<{ id: string; toStore?: ReturnType<typeof jwk> }> {
  // Neither is a key made for a set that is not this database's, nor where nothing may be changed.
  await verifyKeys(store)
  const key = newKey('seal')
  if (!source.writable) return { id: key.id, toStore: jwk(key) }
  // First the set: a key that a database knows and nobody has would be worse than one that it does not know.
  await source.add([key])
  await store.mutate((rows) => register(rows, key))
  return { id: key.id }
}

/** Tells the database of a key that is in the set already. @throws KEYS_MISSING when it is not, BAD_INPUT, CONFLICT when it was retired */
export const registerKey = (store: Store, source: KeySource, id: string): Promise<KeyChange> =>
  store.mutate(async (rows) => {
    const known = (await rows.keys.list()).find((key) => key.id === id)
    if (known) {
      requireSeal(known)
      if (known.state === 'retired') throw retired(id)
      return { id, already: true }
    }
    const key = inSet(rows, source, id)
    if (key.use !== 'enc') throw badInput(`the key ${id} is not one that seals`, 'name one whose "use" is "enc"')
    await register(rows, key)
    return { id, already: false }
  })

async function register(rows: Changes, key: RootKey): Promise<void> {
  const { checkValue } = await import('../vault/vault.ts')
  await rows.keys.insert(key.id, 'seal', 'decrypt-only', await checkValue(key), rows.now)
  await rows.record({ action: 'keys.add', target: target(key.id), keyId: key.id })
}

/**
 * Seals with another key from now on; the one before goes on opening what it has sealed.
 *
 * @throws NOT_FOUND, BAD_INPUT for a key that does not seal, KEYS_MISSING when it is not in the set, CONFLICT when it
 *   was retired
 */
export const activateKey = (store: Store, source: KeySource, id: string): Promise<KeyChange> =>
  store.mutate(async (rows) => {
    const key = await find(rows, id)
    if (key.state === 'retired') throw retired(id)
    inSet(rows, source, id)
    if (key.state === 'active') return { id, already: true }
    await rows.keys.setState(rows.vault.sealing.id, 'decrypt-only')
    await rows.keys.setState(id, 'active')
    await rows.record({ action: 'keys.activate', target: target(id), keyId: id })
    return { id, already: false }
  })

/**
 * Gives up a key that seals nothing any more.
 *
 * @throws NOT_FOUND, BAD_INPUT for a key that does not seal, CONFLICT while it is active or seals anything
 */
export const retireKey = (store: Store, id: string): Promise<KeyChange> =>
  store.mutate(async (rows) => {
    const { state } = await find(rows, id)
    if (state === 'retired') return { id, already: true }
    if (state === 'active')
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
    return { id, already: false }
  })

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
  readonly mode: SealingMode
  readonly activeKey: string | null
  /** How many current values of which version is known nothing seals. */
  readonly plain: number
  /** How many values the application has written that nobody has read yet; null in `required`, where it may write none. */
  readonly unread: number | null
  readonly keys: readonly Key[]
  /** What is not as it should be, and what to type. */
  readonly problems: readonly { readonly problem: string; readonly hint: string }[]
}

/** Looks whether the values of a database are sealed as they should be. Needs no key; without any, says less. */
export async function keyStatus(
  store: Store,
  source: KeySource,
): Promise<KeyStatus & { unusable: IntegrationsError | undefined }> {
  const { keys, use, unusable } = await listKeys(store, source)
  const { mode, unread } = await store.read(async (rows) => {
    const { mode } = await rows.keys.settings()
    // Who may not read secrets may not ask whether there is one either; in `required` that is a role of its own.
    return { mode, unread: mode === 'required' ? null : await rows.keys.unread() }
  })
  const activeKey = keys.find(({ purpose, state }) => purpose === 'seal' && state === 'active')?.id ?? null
  const plain = use.find(({ keyId }) => keyId === null)?.current ?? 0
  const problems = [...sealingProblems(mode, activeKey, use), ...keyProblems(keys, source)]
  if (mode === 'required' && plain > 0)
    problems.unshift({
      problem: `current values are not sealed, which this database demands: ${plain}`,
      hint: 'find out who wrote them: integrations audit verify; then integrations rotate',
    })
  return { mode, activeKey, plain, unread, keys, problems, unusable }
}

/** How many values a key seals, in words. */
export const counted = ({ current, previous, apps }: Pick<KeyUse, 'current' | 'previous' | 'apps'>): string =>
  `${current} current, ${previous} previous${apps > 0 ? `, ${apps} of apps` : ''}`

function sealingProblems(mode: SealingMode, activeKey: string | null, use: readonly KeyUse[]) {
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
export const changeMode = (store: Store, mode: SealingMode): Promise<ModeChange> =>
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
  })

async function requireSealed(rows: Changes): Promise<void> {
  let plain = 0
  for await (const { values } of rows.storedValues.pages())
    plain += values.filter(({ text, keyId }) => text !== null && keyId === null).length
  if (plain > 0)
    throw new IntegrationsError(
      'CONFLICT',
      `there are values that are not sealed yet: ${plain}`,
      'integrations keys reencrypt',
    )
}
