/** Access tokens for the application. @module */
import { LRUCache } from 'lru-cache'
import type { Instant } from '../brands.ts'
import { badInput, type ErrorCode, IntegrationsError } from '../errors.ts'
import { refOf } from '../integration.ts'
import { findIntegration } from '../operations/find.ts'
import { inactive, isDue } from '../operations/refresh/eligibility.ts'
import { type RefreshOptions, refreshOne } from '../operations/refresh/refresh.ts'
import { rotateCommand } from '../operations/texts.ts'
import { refuseUnverifiedTls } from '../platforms/api-urls.ts'
import { findPlatform } from '../platforms/platforms.ts'
import type { Secret } from '../secret.ts'
import type { Store } from '../store/store.ts'
import type { SecretReader } from './lookup/secrets.ts'
import type { Token } from './outcome.ts'

/** How many tokens are remembered. */
const maxTokens = 10_000
const purgeIntervalMs = 1000

/** What tokens are found with. */
export interface TokenOptions {
  readonly store: Store
  readonly secrets: SecretReader
  readonly refresh: Omit<RefreshOptions, 'force'>
  /** How long a token is remembered, in milliseconds. */
  readonly rememberMs: number
  /** Is told why a token could not be refreshed that is still valid for a while. */
  readonly onError: (error: unknown) => void
}

/** Finds access tokens, remembered for a while, and refreshed under the lease that all processes share. */
export class TokenProvider {
  readonly #options: TokenOptions
  readonly #tokens: LRUCache<string, Token>
  readonly #pending = new Set<Promise<unknown>>()
  #nextPurgeMs = 0
  #closed = false

  constructor(options: TokenOptions) {
    this.#options = options
    this.#tokens = new LRUCache({
      max: maxTokens,
      // A clock that is read once a turn of the event loop would stand still while SQLite answers without a turn.
      ttlResolution: 0,
      // Callers that wait for a token get it even when others have displaced it meanwhile.
      ignoreFetchAbort: true,
      fetchMethod: async (ref, _, { options: entry }) => {
        const startedAt = performance.now()
        const token = await this.#find(ref)
        const expiresInMs =
          token.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(token.expiresAt) - Date.now()
        // 0 would mean for ever.
        entry.ttl = Math.max(1, Math.min(startedAt + options.rememberMs - performance.now(), expiresInMs))
        return token
      },
    })
  }

  /** A valid access token: see `Receiver.token`. @throws BAD_INPUT once the receiver is closed */
  async token(ref: string): Promise<Token> {
    if (this.#closed) throw badInput('the receiver is closed', 'create another receiver')
    // Drops expired tokens from memory, while none is being found again: a purge would end that.
    if (this.#pending.size === 0 && performance.now() > this.#nextPurgeMs) {
      this.#tokens.purgeStale()
      this.#nextPurgeMs = performance.now() + purgeIntervalMs
    }
    const token = this.#tokens.forceFetch(ref)
    const settled: Promise<unknown> = Promise.allSettled([token]).then(() => this.#pending.delete(settled))
    this.#pending.add(settled)
    return token
  }

  /** Gives no more tokens, and waits for those that are being refreshed: the answer of a platform must not be lost. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#pending)
  }

  async #find(ref: string): Promise<Token> {
    const { store, secrets, refresh, onError } = this.#options
    const { integration, now } = await store.read(async (db) => ({
      integration: await findIntegration(db, ref),
      now: await db.clock(),
    }))
    const { id, tokenExpiresAt } = integration
    const name = refOf(integration)
    const unusable = (code: ErrorCode, message: string) =>
      new IntegrationsError({ code, message, hint: rotateCommand(id, 'accessToken') })
    if (!integration.isActive) throw inactive(integration)
    const options = { ...refresh, force: false }
    const refreshes = findPlatform(integration.platform)?.api.refresh && integration.refreshToken.set !== false
    const expired = tokenExpiresAt !== null && Date.parse(tokenExpiresAt) <= now.getTime()
    if (refreshes && isDue({ integration }, now, options)) {
      try {
        refuseUnverifiedTls(process.env)
        const { accessToken, expiresAt } = await refreshOne(store, id, options)
        if (accessToken) return reveal(accessToken, expiresAt)
      } catch (error) {
        if (expired) throw error
        // The token is still valid for a while.
        onError(error)
      }
    } else if (expired) throw unusable('CREDENTIAL_REFUSED', `the access token of ${name} expired at ${tokenExpiresAt}`)
    // Read after waiting for another process that may have refreshed it; the expiry is read before the token, so not later.
    const { entries } = await secrets.lookUp(
      { kind: 'match', match: { by: 'id', value: id } },
      'accessToken',
      (error) => {
        throw error
      },
    )
    const current = entries[0]?.secrets.find(({ validUntil }) => validUntil === null)
    if (!current) throw unusable('NOT_FOUND', `${name} has no access token`)
    return reveal(current.value, entries[0]?.integration.tokenExpiresAt ?? null)
  }
}

const reveal = (token: Secret, expiresAt: Instant | null): Token => ({ token: token.reveal(), expiresAt })
