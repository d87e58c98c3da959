import { setTimeout as sleep } from 'node:timers/promises'
import { IntegrationsError } from '../errors.ts'
import type { Integration, SecretField } from '../integration.ts'
import type { IntegrationMatch } from '../store/integrations.ts'
import type { SealingMode } from '../store/keys.ts'
import type { KeySource } from '../store/ready.ts'
import type { Rows, Store } from '../store/store.ts'
import { openValid, type StoredValid, type ValidSecret } from '../store/valid-secrets.ts'
import { openVault, type Vault } from '../vault/vault.ts'

/** An integration that a webhook may be for, with the secrets that it may be signed with. */
export interface Recipient {
  readonly integration: Integration
  readonly secrets: readonly ValidSecret[]
}

/** What was read of some recipients. */
export interface Known {
  readonly recipients: readonly Recipient[]
  /** When the reading began, on this process's own clock (`performance.now()`). */
  readonly began: number
  /** How far the database's clock was ahead of `Date.now()`, in milliseconds. */
  readonly ahead: number
  /** A value among them is sealed with a key that is not here. */
  readonly locked: boolean
}

/** Which integrations a webhook may be for: one by its id, or those that match; `secretsOf` a platform: one for each secret. */
export type Wanted = IntegrationMatch | { readonly secretsOf: string }

/** How many lookups are remembered. What a stranger claims is looked up too. */
const remembered = 10_000

/** How many lookups may wait for their turn to be read again. */
const waiting = 1000

/** How long to leave a lookup alone before it is read again for a signature that did not match, in milliseconds. */
const pause = 1000

/** How many integrations one lookup finds, and how many secrets are tried where nothing says whose a request is. */
export const mostTried = 100

interface Lookup {
  known?: Known
  reading?: Promise<Known>
  /** When the last reading began. */
  began: number
}

/**
 * Finds recipients, and remembers them for a few seconds.
 *
 * @param keep for how long, in milliseconds: so long a secret that was revoked can still match
 * @param problem is told of values that do not open
 */
export function findRecipients(store: Store, keys: KeySource, keep: number, problem: (error: unknown) => void) {
  const lookups = new Map<string, Lookup>()
  const vault = vaultOf(store, keys, problem)
  let queued = 0

  async function open(
    mode: SealingMode,
    stored: readonly StoredValid[],
    problem: (error: unknown) => void,
  ): Promise<{ readonly opened: Map<string, ValidSecret[]>; readonly locked: boolean }> {
    const attempt = async (keys: Vault) => {
      const problems: unknown[] = []
      const opened = new Map<string, ValidSecret[]>()
      for (const one of stored) opened.set(one.id, await openValid(keys, mode, one, (error) => problems.push(error)))
      return { opened, problems }
    }
    const unknownKey = (error: unknown) => error instanceof IntegrationsError && error.code === 'KEY_UNKNOWN'
    const first = await attempt(await vault.current())
    // A key was made active elsewhere since ours were read.
    const renewed = first.problems.some(unknownKey) ? vault.renewed() : undefined
    const anew = await renewed
    const { opened, problems } = anew ? await attempt(anew) : first
    for (const one of problems) problem(one)
    return { opened, locked: problems.some(unknownKey) }
  }

  async function read(wanted: Wanted): Promise<Known> {
    const began = performance.now()
    const { integrations, stored, mode, ahead } = await store.read(async (rows) => {
      const mode = (await rows.keys.settings()).mode ?? 'off'
      const integrations = await matching(rows, wanted)
      const ids = integrations.map(({ id }) => id)
      const { now, stored } = await rows.secrets.valid('webhookSecret', ids)
      return { integrations, stored, mode, ahead: Date.parse(now) - Date.now() }
    })
    const { opened, locked } = await open(mode, stored, problem)
    return {
      began,
      ahead,
      locked,
      recipients: integrations.map((integration) => ({ integration, secrets: opened.get(integration.id) ?? [] })),
    }
  }

  function load(key: string, wanted: Wanted): Promise<Known> {
    const lookup: Lookup = lookups.get(key) ?? { began: Number.NEGATIVE_INFINITY }
    lookup.began = performance.now()
    // The longest unread go first.
    lookups.delete(key)
    lookups.set(key, lookup)
    for (const oldest of lookups.keys()) {
      if (lookups.size <= remembered) break
      lookups.delete(oldest)
    }
    const reading = read(wanted)
      .then((known) => {
        lookup.known = known
        return known
      })
      .finally(() => {
        if (lookup.reading === reading) delete lookup.reading
      })
    lookup.reading = reading
    return reading
  }

  return {
    /** Opens the current value of a secret. @throws SEAL_BROKEN, KEY_UNKNOWN */
    async current(id: string, field: SecretField): Promise<ValidSecret | undefined> {
      const { stored, mode } = await store.read(async (rows) => ({
        ...(await rows.secrets.valid(field, [id])),
        mode: (await rows.keys.settings()).mode ?? 'off',
      }))
      const { opened } = await open(mode, stored, (error) => {
        throw error
      })
      return opened.get(id)?.find(({ validUntil }) => validUntil === null)
    },

    /** Finds the keys of the database. @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG, and what the store throws */
    ready: async (): Promise<void> => void (await vault.current()),

    /** What is known, read at most `keep` ago. @throws what the store throws */
    async find(wanted: Wanted): Promise<Known> {
      const key = JSON.stringify(wanted)
      const { known, reading } = lookups.get(key) ?? {}
      if (known && performance.now() - known.began < keep) return known
      return reading ?? load(key, wanted)
    },

    /**
     * What is known by a reading that began after an instant, for which it waits its turn; nothing when too many wait.
     *
     * @param since on this process's own clock (`performance.now()`)
     */
    async findSince(wanted: Wanted, since: number): Promise<Known | undefined> {
      const key = JSON.stringify(wanted)
      for (;;) {
        const lookup = lookups.get(key)
        if (lookup?.known && lookup.known.began >= since) return lookup.known
        if (lookup?.reading && lookup.began >= since) return lookup.reading
        const turn = (lookup?.began ?? Number.NEGATIVE_INFINITY) + pause - performance.now()
        if (turn <= 0) return load(key, wanted)
        if (queued >= waiting) return undefined
        queued++
        try {
          await sleep(turn)
        } finally {
          queued--
        }
      }
    },
  }
}

async function matching(rows: Rows, wanted: Wanted): Promise<Integration[]> {
  if (!('secretsOf' in wanted)) return rows.integrations.match(wanted, mostTried)
  const ids = await rows.secrets.holders('webhookSecret', wanted.secretsOf, mostTried)
  return (await Promise.all(ids.map((id) => rows.integrations.match({ id }, 1)))).flat()
}

/** The keys of the database; read again, now and then, when a value is met that is sealed with another. */
function vaultOf(store: Store, keys: KeySource, problem: (error: unknown) => void) {
  let opened: Promise<Vault> | undefined
  let began = 0
  const load = async (): Promise<Vault> => {
    began = performance.now()
    return openVault(await keys.load(), await store.read((rows) => rows.keys.list()), keys.name)
  }
  return {
    current(): Promise<Vault> {
      if (opened) return opened
      const loading = load()
      opened = loading
      loading.catch(() => {
        if (opened === loading) opened = undefined
      })
      return loading
    },

    /** The keys as they are now; undefined when they were read a moment ago, or cannot be: those that are known go on. */
    async renewed(): Promise<Vault | undefined> {
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
