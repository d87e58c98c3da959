import { badInput, IntegrationsError, shellWord } from '../errors.ts'
import { type Instant, refOf } from '../integration.ts'
import { findIntegration } from '../operations/find.ts'
import { isDue } from '../operations/refresh/eligibility.ts'
import { type RefreshOptions, refreshOne } from '../operations/refresh/refresh.ts'
import { findPlatform } from '../platforms/platforms.ts'
import type { Secret } from '../secret.ts'
import type { ValidSecret } from '../store/secrets/accepted.ts'
import type { Store } from '../store/store.ts'
import type { Token } from './outcome.ts'

/** Opens the current value of a secret. */
export type OpenCurrent = (id: string, field: 'accessToken') => Promise<ValidSecret | undefined>

/**
 * Gives access tokens, remembered for a while, and refreshed under the lease that every process keeps to.
 *
 * @param keep how long one is remembered, in milliseconds
 * @param problem is told why a token that is still good for a while could not be refreshed
 */
export function createTokenProvider(
  store: Store,
  open: OpenCurrent,
  refreshing: Omit<RefreshOptions, 'force'>,
  keep: number,
  problem: (error: unknown) => void,
) {
  const given = new Map<string, { readonly token: Promise<Token>; until: number }>()
  const under = new Set<Promise<Token>>()
  let closed = false

  async function find(ref: string): Promise<Token> {
    const { integration, now } = await store.read(async (db) => ({
      integration: await findIntegration(db, ref),
      now: await db.refresh.clock(),
    }))
    const { id, tokenExpiresAt } = integration
    const name = refOf(integration)
    if (!integration.isActive) throw badInput(`${name} is inactive`, `integrations enable ${shellWord(id)}`)
    const refreshes = findPlatform(integration.platform)?.api.refresh && integration.refreshToken.set !== false
    const ended = tokenExpiresAt !== null && Date.parse(tokenExpiresAt) <= now.getTime()
    if (refreshes && isDue(integration, undefined, now, { ...refreshing, force: false })) {
      try {
        const { accessToken, expiresAt } = await refreshOne(store, id, { ...refreshing, force: false })
        if (accessToken) return shown(accessToken, expiresAt)
      } catch (error) {
        if (ended) throw error
        // The token is good for a while yet.
        problem(error)
      }
    } else if (ended)
      throw new IntegrationsError({
        code: 'CREDENTIAL_REFUSED',
        message: `the access token of ${name} ended at ${tokenExpiresAt}`,
        hint: `integrations rotate ${shellWord(id)} --field access-token`,
      })
    // Read after the wait for whoever else may have refreshed it; the end first, so that it is not later than the token's.
    const [after] = await store.read((db) => db.integrations.match({ id }, 1))
    const current = await open(id, 'accessToken')
    if (!current)
      throw new IntegrationsError({
        code: 'NOT_FOUND',
        message: `${name} has no access token`,
        hint: `integrations rotate ${shellWord(id)} --field access-token`,
      })
    return shown(current.value, after?.tokenExpiresAt ?? null)
  }

  const forgetAt = async (began: number, token: Promise<Token>): Promise<number> => {
    const { expiresAt } = await token
    const left = expiresAt === null ? keep : Date.parse(expiresAt) - Date.now()
    return Math.min(began + keep, performance.now() + left)
  }

  return {
    token(ref: string): Promise<Token> {
      if (closed) return Promise.reject(badInput('the receiver is closed', 'create another'))
      const now = performance.now()
      for (const [other, { until }] of given) if (now >= until) given.delete(other)
      const known = given.get(ref)
      if (known) return known.token
      const token = find(ref)
      const one = { token, until: Number.POSITIVE_INFINITY }
      given.set(ref, one)
      under.add(token)
      const settled = forgetAt(now, token).then(
        (until) => {
          one.until = until
        },
        () => {
          if (given.get(ref) === one) given.delete(ref)
        },
      )
      void settled.then(() => under.delete(token))
      return token
    },

    /** Gives no more tokens, and waits for those that are being refreshed: a platform that was asked has to be heard. */
    async close(): Promise<void> {
      closed = true
      await Promise.allSettled(under)
    },
  }
}

const shown = (token: Secret, expiresAt: Instant | null): Token => ({ token: token.reveal(), expiresAt })
