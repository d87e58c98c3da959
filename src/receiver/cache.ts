import { setTimeout as sleep } from 'node:timers/promises'
import { semaphore } from '../concurrency.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { type Keyring, openKeyring } from '../crypto/keyring.ts'
import { is } from '../errors.ts'
import type { IntegrationView, SecretField } from '../integration.ts'
import { decryptAccepted, type StoredAccepted, type ValidSecret } from '../store/secrets/accepted.ts'
import type { Reader, Store } from '../store/store.ts'
import type { IntegrationMatch } from '../store/tables/integrations.ts'
import type { EncryptionMode } from '../store/tables/keys.ts'
import { createAdmissionLimit } from './admission.ts'

/** An integration that a webhook may be for, with the secrets that it may be signed with. */
export interface CacheEntry {
  readonly integration: IntegrationView
  readonly secrets: readonly ValidSecret[]
}

/** What was read of some recipients. */
export interface LookupResult {
  readonly recipients: readonly CacheEntry[]
  /** When the reading began, on this process's own clock (`performance.now()`). */
  readonly began: number
  /** How far the database's clock was ahead of `Date.now()`, in milliseconds. */
  readonly ahead: number
  /** A value among them is sealed with a key that is not here. */
  readonly locked: boolean
  /** There are more than these. */
  readonly more: boolean
}

/** Which integrations a webhook may be for: one by its id, or those that match; `secretsOf` a platform: one for each secret. */
export type LookupKey = IntegrationMatch | { readonly secretsOf: string }

/** How many lookups are remembered of those that found somebody, and of those that did not. */
const remembered = 10_000

/** How many lookups that have never found anybody are under way at once: what a stranger claims is looked up too. */
const strangersAtOnce = 4

/** How long to leave a lookup alone before it is read again for a signature that did not match, in milliseconds. */
const pause = 1000

/** How many integrations one lookup finds. */
const mostFound = 1000

/** How many distinct secrets are tried for one request. */
export const mostTried = 100

interface Lookup {
  known?: LookupResult
  reading?: Promise<LookupResult>
  /** When the last reading began. */
  began: number
}

/**
 * Finds recipients, and remembers them for a few seconds.
 *
 * @param keep for how long, in milliseconds: so long a secret that was revoked can still match
 * @param problem is told of values that do not open
 */
export function createLookup(store: Store, keys: KeySource, keep: number, problem: (error: unknown) => void) {
  // What strangers invent neither displaces nor delays those that are there.
  const tenants = new Map<string, Lookup>()
  const strangers = new Map<string, Lookup>()
  const rooms = { tenants: createAdmissionLimit(), strangers: createAdmissionLimit() }
  const afterOthers = semaphore(strangersAtOnce)
  const vault = vaultOf(store, keys, problem)

  async function open(
    mode: EncryptionMode,
    stored: readonly StoredAccepted[],
    problem: (error: unknown) => void,
  ): Promise<{ readonly opened: Map<string, ValidSecret[]>; readonly locked: boolean }> {
    const attempt = async (keys: Keyring) => {
      const problems: unknown[] = []
      const opened = new Map<string, ValidSecret[]>()
      for (const one of stored)
        opened.set(one.id, await decryptAccepted(keys, mode, one, (error) => problems.push(error)))
      return { opened, problems }
    }
    const unknownKey = (error: unknown) => is(error, 'KEY_NOT_FOUND')
    const first = await attempt(await vault.current())
    // A key was made active elsewhere since ours were read.
    const renewed = first.problems.some(unknownKey) ? vault.renewed() : undefined
    const anew = await renewed
    const { opened, problems } = anew ? await attempt(anew) : first
    for (const one of problems) problem(one)
    return { opened, locked: problems.some(unknownKey) }
  }

  async function read(wanted: LookupKey): Promise<LookupResult> {
    const began = performance.now()
    const { integrations, more, stored, mode, ahead } = await store.read(async (db) => {
      const mode = (await db.keys.settings()).mode ?? 'off'
      const { integrations, more } = await matching(db, wanted)
      const ids = integrations.map(({ id }) => id)
      const { now, stored } = await db.secrets.valid('webhookSecret', ids)
      return { integrations, more, stored, mode, ahead: Date.parse(now) - Date.now() }
    })
    const { opened, locked } = await open(mode, stored, problem)
    return {
      began,
      ahead,
      locked,
      more,
      recipients: integrations.map((integration) => ({ integration, secrets: opened.get(integration.id) ?? [] })),
    }
  }

  const lookupOf = (key: string) => tenants.get(key) ?? strangers.get(key)

  function keepAmong(lookups: Map<string, Lookup>, key: string, lookup: Lookup): void {
    tenants.delete(key)
    strangers.delete(key)
    // The longest unread go first.
    lookups.set(key, lookup)
    for (const oldest of lookups.keys()) {
      if (lookups.size <= remembered) break
      lookups.delete(oldest)
    }
  }

  function load(key: string, wanted: LookupKey): Promise<LookupResult> {
    const lookup: Lookup = lookupOf(key) ?? { began: Number.NEGATIVE_INFINITY }
    lookup.began = performance.now()
    const isTenant = tenants.has(key)
    keepAmong(isTenant ? tenants : strangers, key, lookup)
    const reading = (isTenant ? read(wanted) : afterOthers(() => read(wanted)))
      .then((known) => {
        lookup.known = known
        if (known.recipients.length > 0 && !tenants.has(key)) keepAmong(tenants, key, lookup)
        return known
      })
      .finally(() => {
        if (lookup.reading === reading) delete lookup.reading
      })
    lookup.reading = reading
    return reading
  }

  return {
    /** Opens the current value of a secret. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
    async current(id: string, field: SecretField): Promise<ValidSecret | undefined> {
      const { stored, mode } = await store.read(async (db) => ({
        ...(await db.secrets.valid(field, [id])),
        mode: (await db.keys.settings()).mode ?? 'off',
      }))
      const { opened } = await open(mode, stored, (error) => {
        throw error
      })
      return opened.get(id)?.find(({ validUntil }) => validUntil === null)
    },

    /** Finds the keys of the database. @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG, and what the store throws */
    ready: async (): Promise<void> => void (await vault.current()),

    /**
     * What is known by a reading that began at most `keep` ago; undefined when too many wait.
     *
     * @param body how long the body is that is held meanwhile, in bytes
     * @throws what the store throws
     */
    async find(wanted: LookupKey, body: number): Promise<LookupResult | undefined> {
      const key = JSON.stringify(wanted)
      const { known, reading, began = 0 } = lookupOf(key) ?? {}
      const oldest = performance.now() - keep
      if (known && known.began > oldest) return known
      const loaded = async () => (reading && began > oldest ? reading : load(key, wanted))
      return tenants.has(key) ? loaded() : rooms.strangers(body, loaded)
    },

    /**
     * What is known by a reading that began after an instant, for which it waits its turn; undefined when too many wait.
     *
     * @param body how long the body is that is held meanwhile, in bytes
     * @param since on this process's own clock (`performance.now()`)
     */
    async findSince(wanted: LookupKey, body: number, since: number): Promise<LookupResult | undefined> {
      const key = JSON.stringify(wanted)
      const { known } = lookupOf(key) ?? {}
      if (known && known.began >= since) return known
      return (tenants.has(key) ? rooms.tenants : rooms.strangers)(body, async () => {
        for (;;) {
          const lookup = lookupOf(key)
          if (lookup?.known && lookup.known.began >= since) return lookup.known
          if (lookup?.reading && lookup.began >= since) return lookup.reading
          const turn = (lookup?.began ?? Number.NEGATIVE_INFINITY) + pause - performance.now()
          if (turn <= 0) return load(key, wanted)
          await sleep(turn)
        }
      })
    },

    /** Takes what a request has claimed whose signature holds for no stranger's invention, as another company's team is none. */
    vouch(wanted: readonly LookupKey[]): void {
      for (const key of wanted.map((one) => JSON.stringify(one))) {
        const lookup = strangers.get(key)
        if (lookup) keepAmong(tenants, key, lookup)
      }
    },
  }
}

async function matching(
  db: Reader,
  wanted: LookupKey,
): Promise<{ readonly integrations: IntegrationView[]; readonly more: boolean }> {
  if (!('secretsOf' in wanted)) {
    const found = await db.integrations.match(wanted, mostFound + 1)
    // Some of them alone would be to keep a request from the others without a word.
    return found.length > mostFound ? { integrations: [], more: true } : { integrations: found, more: false }
  }
  const ids = await db.secrets.holders('webhookSecret', wanted.secretsOf, mostTried + 1)
  const found = await Promise.all(ids.slice(0, mostTried).map((id) => db.integrations.match({ id }, 1)))
  return { integrations: found.flat(), more: ids.length > mostTried }
}

/** The keys of the database; read again, now and then, when a value is met that is sealed with another. */
function vaultOf(store: Store, keys: KeySource, problem: (error: unknown) => void) {
  let opened: Promise<Keyring> | undefined
  let began = 0
  const load = async (): Promise<Keyring> => {
    began = performance.now()
    return openKeyring(await keys.load(), await store.read((db) => db.keys.list()), keys.name)
  }
  return {
    current(): Promise<Keyring> {
      if (opened) return opened
      const loading = load()
      opened = loading
      loading.catch(() => {
        if (opened === loading) opened = undefined
      })
      return loading
    },

    /** The keys as they are now; undefined when they were read a moment ago, or cannot be: those that are known go on. */
    async renewed(): Promise<Keyring | undefined> {
      if (performance.now() - began < 5 * pause) return undefined
      try {
        const vault = await load()
        opened = Promise.resolve(vault)
        return vault
      } catch (error) {
        problem(error)
        return undefined
      }
    },
  }
}
