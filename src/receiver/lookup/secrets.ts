/** Integrations that a webhook may be for, and the secrets that it may be signed with. @module */
import type { KeySource } from '../../crypto/key-source.ts'
import { type Keyring, openKeyring } from '../../crypto/keyring.ts'
import { damaged } from '../../damage.ts'
import { is, RowsTooLong } from '../../errors.ts'
import type { IntegrationView, SecretField } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformById } from '../../platforms/platforms.ts'
import { type PreviousValues, previousValuesOf, requireState, rolledBack } from '../../store/audit/head.ts'
import type { StoredAccepted } from '../../store/secrets/accepted.ts'
import { NotRecorded } from '../../store/secrets/decrypt.ts'
import { decryptAccepted, type ValidSecret } from '../../store/secrets/decrypt-accepted.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { IntegrationMatch } from '../../store/tables/integration-filter.ts'
import type { EncryptionMode, Settings } from '../../store/tables/keys.ts'
import { byIds, type Found, idsOf, inHalves, matching, matchingOne } from './find.ts'
import { keyOf, type LookupKey, nameOf } from './keys.ts'

/** An integration that a webhook may be for, with the secrets that it may be signed with. */
export interface CacheEntry {
  readonly integration: IntegrationView
  readonly secrets: readonly ValidSecret[]
}

/** What the database had for a key. */
export interface LookupResult {
  readonly entries: readonly CacheEntry[]
  /** When the reading began, on this process's own clock (`performance.now()`). */
  readonly startedAt: number
  /** The same by `Date.now()`, which goes on while a machine sleeps. */
  readonly startedAtMs: number
  /** How far the database's clock was ahead of `Date.now()`, in milliseconds. */
  readonly clockAheadMs: number
  /** Whether a value or a row cannot be read, which may be the right one. */
  readonly keyMissing: boolean
  /** Whether there are more than these. */
  readonly truncated: boolean
}

/** How much time has passed since the reading of a result began, in milliseconds: by the clock that says more. */
export const ageOf = ({ startedAt, startedAtMs }: Pick<LookupResult, 'startedAt' | 'startedAtMs'>): number =>
  Math.max(performance.now() - startedAt, Date.now() - startedAtMs)

/** What the database's clock says now: not by this machine's clock alone, which may have been set back since the reading. */
export const databaseTime = (result: LookupResult): Date =>
  new Date(result.startedAtMs + ageOf(result) + result.clockAheadMs)

/** How old the keys must be before they are loaded again. */
const minKeyAgeMs = 5000

const isKeyMissing = (error: unknown) => is(error, 'KEY_NOT_FOUND')
/** A secret may be there that cannot be told from here. One that is not the recorded one is none. */
const isUntold = (error: unknown) =>
  is(error, 'KEY_NOT_FOUND', 'DATABASE_INVALID', 'DECRYPTION_FAILED') && !(error instanceof NotRecorded)

/** What was read of integrations, at one moment, and is not decrypted yet. */
interface Reading extends Found, Omit<LookupResult, 'entries' | 'keyMissing' | 'truncated'> {
  readonly stored: readonly StoredAccepted[]
  readonly mode: EncryptionMode
  readonly previous: PreviousValues
}

/** What secrets are read with. */
interface SecretSource {
  readonly store: Store
  readonly keys: KeySource
  /** Is told of values that cannot be decrypted, and of keys that cannot be loaded again. */
  readonly onError: (error: unknown) => void
}

/** Reads and decrypts secrets that are valid now. */
export class SecretReader {
  readonly #source: SecretSource
  #keyring: Promise<Keyring> | undefined
  /** The loading that is under way, which all look-ups share that lack a key. */
  #renewal: Promise<Keyring> | undefined
  #keysLoadedAt = Number.NEGATIVE_INFINITY
  /** The highest end of the audit log that was seen. */
  #newestHead = 0n

  constructor(source: SecretSource) {
    this.#source = source
  }

  /** The keys of the database, loaded when they are first needed. @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG, and what the store throws */
  keyring(): Promise<Keyring> {
    this.#keyring ??= this.#loadKeys().catch((error: unknown) => {
      this.#keyring = undefined
      throw error
    })
    return this.#keyring
  }

  /**
   * Reads the integrations of a key, and the values of a field that are valid now.
   *
   * @param onError is told of each value that cannot be decrypted: DECRYPTION_FAILED, KEY_NOT_FOUND
   * @throws what the store throws
   */
  async lookUp(
    key: LookupKey,
    field: SecretField = 'webhookSecret',
    onError = this.#source.onError,
  ): Promise<LookupResult> {
    if (key.kind === 'strays') return this.#lookUpStrays(platformById(key.platform), onError)
    const read = async (find: (db: Reader) => Promise<Found>) => this.#result(await this.#read(find, field), onError)
    try {
      return await read((db) => matching(db, key))
    } catch (error) {
      if (!(error instanceof RowsTooLong)) throw error
    }
    // Their configs are, or their secrets. On PostgreSQL, the connection is lost.
    const began = { startedAt: performance.now(), startedAtMs: Date.now() }
    const { ids, truncated } = await this.#source.store.read((db) => idsOf(db, key))
    const parts = await inHalves(ids, (some) =>
      read(async (db) => ({ integrations: await byIds(db, some), truncated })),
    )
    const entries = parts.flatMap((part) => part.entries)
    return { ...parts[0], ...began, entries, keyMissing: parts.some(({ keyMissing }) => keyMissing) }
  }

  async #lookUpStrays({ id, webhooks }: Platform, onError: (error: unknown) => void): Promise<LookupResult> {
    const startedAt = { startedAt: performance.now(), startedAtMs: Date.now() }
    const stray = await this.#source.store.read((db) => db.secrets.stray(id, webhooks.tenant?.column))
    if (stray) onError(damaged(stray.id, stray.damage))
    return { entries: [], ...startedAt, clockAheadMs: 0, keyMissing: stray !== undefined, truncated: false }
  }

  /**
   * Reads the integrations of a platform that each of several names finds. Values that cannot be decrypted are not reported.
   *
   * @returns undefined where these are too many integrations, or those of several names too long to be read at once
   * @throws what the store throws
   */
  async lookUpAll(
    platform: Platform,
    names: readonly [string, ...string[]],
  ): Promise<(readonly [key: LookupKey, result: LookupResult])[] | undefined> {
    const { tenant } = platform.webhooks
    const match: IntegrationMatch = tenant
      ? { by: 'columnIn', platform: platform.id, column: tenant.column, values: names }
      : { by: 'ids', ids: names }
    const reading = await this.#read((db) => matchingOne(db, match), 'webhookSecret').catch((error: unknown) => {
      if (!(error instanceof RowsTooLong)) throw error
      return undefined
    })
    const [first, ...others] = names
    const alone = keyOf(platform, first)
    if (!reading && others.length === 0) return [[alone, await this.lookUp(alone, 'webhookSecret', () => {})]]
    if (!reading || reading.truncated) return undefined
    const result = async (name: string) => {
      const integrations = reading.integrations.filter((one) => nameOf(platform, one) === name)
      const ids = new Set(integrations.map(({ id }) => id))
      const stored = reading.stored.filter(({ id }) => ids.has(id))
      return [keyOf(platform, name), await this.#result({ ...reading, integrations, stored }, () => {})] as const
    }
    return Promise.all(names.map(result))
  }

  async #read(find: (db: Reader) => Promise<Found>, field: SecretField): Promise<Reading> {
    const [startedAt, startedAtMs] = [performance.now(), Date.now()]
    const keyring = await this.keyring()
    return this.#source.store.read(async (db) => {
      // Before the question: readings on several connections may be answered in another order than they were asked for.
      const newestHead = this.#newestHead
      const settings = await db.keys.settings()
      requireState(keyring, settings)
      this.#requireNewest(settings, newestHead)
      const mode = settings.mode ?? 'off'
      const { integrations, truncated } = await find(db)
      // Before the answer: a secret must not stay valid for as long as the answer takes.
      const askedAtMs = Date.now()
      const { now, stored } = await db.secrets.valid(
        field,
        integrations.map(({ id }) => id),
      )
      const clockAheadMs = Date.parse(now) - askedAtMs
      return {
        integrations,
        truncated,
        stored,
        mode,
        previous: previousValuesOf(settings.head),
        startedAt,
        startedAtMs,
        clockAheadMs,
      }
    })
  }

  /** An end of the audit log before one that was known already is of an older copy, in which revoked secrets may be valid. */
  #requireNewest({ head: { seq } }: Settings, known: bigint): void {
    if (seq < known) throw rolledBack(known, seq)
    if (seq > this.#newestHead) this.#newestHead = seq
  }

  async #result(
    { integrations, stored, mode, previous, startedAt, startedAtMs, clockAheadMs, truncated }: Reading,
    onError: (error: unknown) => void,
  ): Promise<LookupResult> {
    const { decrypted, errors } = await this.#decrypt({ mode, previous }, stored)
    const readable = integrations.filter(({ damage }) => !damage)
    for (const { id, damage } of integrations) if (damage) errors.push(damaged(id, damage))
    for (const error of errors) onError(error)
    const entries = readable.map((integration) => ({ integration, secrets: decrypted.get(integration.id) ?? [] }))
    return { entries, startedAt, startedAtMs, clockAheadMs, keyMissing: errors.some(isUntold), truncated }
  }

  async #decrypt(how: Pick<Reading, 'mode' | 'previous'>, stored: readonly StoredAccepted[]) {
    const attempt = (keyring: Keyring) => {
      const errors: unknown[] = []
      const decrypted = new Map<string, ValidSecret[]>()
      for (const value of stored)
        decrypted.set(
          value.id,
          decryptAccepted({ keyring, ...how }, value, (error) => errors.push(error)),
        )
      return { decrypted, errors }
    }
    const keyring = await this.keyring()
    const first = attempt(keyring)
    if (!first.errors.some(isKeyMissing)) return first
    const renewed = await this.#renewed(keyring)
    return renewed === keyring ? first : attempt(renewed)
  }

  /** The keys as they are now: another process may have activated a key since these were loaded. */
  async #renewed(known: Keyring): Promise<Keyring> {
    const current = await this.keyring()
    if (current !== known) return current
    if (performance.now() - this.#keysLoadedAt >= minKeyAgeMs)
      this.#renewal ??= this.#loadKeys()
        .then((keyring) => {
          this.#keyring = Promise.resolve(keyring)
          return keyring
        })
        .catch((error: unknown) => {
          // The known keys stay in use.
          this.#source.onError(error)
          return known
        })
        .finally(() => {
          this.#renewal = undefined
        })
    return this.#renewal ?? known
  }

  async #loadKeys(): Promise<Keyring> {
    this.#keysLoadedAt = performance.now()
    const { store, keys } = this.#source
    const database = await store.read((db) => db.keys.known())
    return openKeyring(await keys.load(database), database.keys, keys.name)
  }
}
