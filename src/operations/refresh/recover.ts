import { setTimeout as sleep } from 'node:timers/promises'
import { type Instant, type IntegrationId, instantOf } from '../../brands.ts'
import { serialize } from '../../concurrency.ts'
import type { IntegrationsError } from '../../errors.ts'
import { type IntegrationView, secretColumns } from '../../integration.ts'
import { askPlatform, overridden } from '../../platforms/api-urls.ts'
import type { Finding, Verdict } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'
import { targetOf } from '../change.ts'
import { findIntegration, withoutConfig } from '../find.ts'
import { leaseHeld, outcomeUnknown } from './eligibility.ts'
import { markUnknown, recordFailure } from './lease.ts'
import { type RefreshOptions, refreshOne } from './refresh.ts'
import { decryptSpooled, readSpool } from './spool.ts'
import { commitRefresh, updateSharers } from './store-tokens.ts'

/** The result of a recovery. */
export interface Recovered {
  readonly integration: IntegrationView
  /**
   * `applied`: the new tokens are in the database; `superseded`: another refresh token has been stored since;
   * `settled`: there was nothing to resolve; `needs_reauth`: flagged, a person has to authorize the application again;
   * `held`: another process holds the lease.
   */
  readonly outcome: 'applied' | 'superseded' | 'settled' | 'needs_reauth' | 'held'
  /** The platform's verdict on the access token; null where the platform was not asked. */
  readonly accessToken: Verdict | null
  /** When a working access token expires; null: it does not work, or its expiry is unknown. */
  readonly worksUntil: Instant | null
  readonly error?: IntegrationsError
}

/** How to recover refreshes. */
export interface RecoverOptions extends Omit<RefreshOptions, 'withinMs' | 'force' | 'retry'> {
  /** Submit the old refresh token again. */
  readonly retry: boolean
}

/** The integrations with an attempt whose outcome is unknown, or with new tokens in the spool. */
export const toRecover = (store: Store, folder: string): Promise<IntegrationView[]> =>
  store.snapshot(async (db) => {
    const { id: database } = await db.keys.settings()
    const open = (await db.refresh.open()).map(({ integrationId }) => integrationId)
    const spooled = readSpool(folder).flatMap(({ content }) =>
      content?.database === database ? [content.integration] : [],
    )
    const present: IntegrationView[] = []
    for (const id of new Set([...open, ...spooled]))
      present.push(...(await db.integrations.match({ by: 'id', value: id }, 1)).map(withoutConfig))
    return present
  })

/**
 * Resolves an attempt whose outcome is unknown. New tokens in the spool are stored in the database. Without such tokens,
 * the platform is asked about the access token, which changes nothing, and the integration is flagged: a person has to
 * authorize the application again.
 *
 * @throws NOT_FOUND, DECRYPTION_FAILED, KEY_NOT_FOUND, and with `retry` what `refreshOne` throws
 */
export async function recoverOne(store: Store, id: IntegrationId, options: RecoverOptions): Promise<Recovered> {
  const deadline = performance.now() + options.wait
  let found: Found
  for (;;) {
    found = await serialize(store, () => store.mutate((tx) => resolveLocally(tx, id, options)))
    const pauseMs = 300 + Math.random() * 700
    if (found.outcome !== 'held' || performance.now() + pauseMs > deadline) break
    await sleep(pauseMs)
  }
  const { integration } = found
  const result = (outcome: Recovered['outcome'], error?: IntegrationsError): Recovered => ({
    integration,
    outcome,
    accessToken: null,
    worksUntil: null,
    ...(error ? { error } : {}),
  })
  if (found.outcome === 'held') return result('held', leaseHeld(integration, found.attempt))
  if (found.outcome !== 'open') return result(found.outcome)
  if (options.retry) {
    const retrying = { ...options, retry: found.attempt.id, withinMs: 0, force: true, wait: 0 }
    const { outcome } = await refreshOne(store, id, retrying)
    return result(outcome === 'refreshed' ? 'applied' : 'settled')
  }
  return flag(store, found, options)
}

type Found =
  | { readonly outcome: 'applied' | 'superseded' | 'settled'; readonly integration: IntegrationView }
  | { readonly outcome: 'held'; readonly integration: IntegrationView; readonly attempt: RefreshAttempt }
  | {
      readonly outcome: 'open'
      readonly integration: IntegrationView
      readonly attempt: RefreshAttempt
      readonly accessToken: Secret | undefined
    }

/**
 * Resolves an attempt as far as the database and the spool allow, without asking the platform: stores new tokens from the
 * spool, or closes an attempt whose refresh token has been replaced since. Records an attempt that stays open as unknown.
 *
 * @throws NOT_FOUND, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
async function resolveLocally(tx: Transaction, id: IntegrationId, options: RecoverOptions): Promise<Found> {
  await tx.integrations.lock(id)
  const integration = await findIntegration(tx, { id }, { damagedToo: true })
  const attempt = await tx.refresh.of(id)
  let unreadable: { readonly error: unknown } | undefined
  for (const file of readSpool(options.spool)) {
    if (file.content?.database !== tx.settings.id) continue
    // During a lease, only the tokens of its own attempt may be stored; those of earlier attempts are outdated.
    if (file.attempt !== attempt?.id && (file.content.integration !== id || attempt?.leased)) continue
    const tokens = await decryptSpooled(tx.keyring.keys, file).catch((error: unknown) => {
      unreadable = { error }
      return undefined
    })
    if (!tokens) continue
    const update = { tokens, action: 'token.recover', owner: options.owner } as const
    // Of an earlier attempt, too: a later one with the same refresh token got no tokens.
    if (attempt && attempt.state !== 'applied' && tokens.oldFingerprint === attempt.oldFingerprint) {
      const outcome = await commitRefresh(tx, attempt, update)
      return { outcome: outcome === 'superseded' ? outcome : 'applied', integration }
    }
    // The database has lost the attempt, as after a restore, and still holds the token that was submitted.
    const { refreshToken } = await tx.secrets.read(id, ['refreshToken'])
    if (refreshToken?.fingerprint !== tokens.oldFingerprint) continue
    await updateSharers(tx, { id, sharerIds: [id], submitted: tokens }, update)
    return { outcome: 'applied', integration }
  }
  if (attempt?.leased) return { outcome: 'held', integration, attempt }
  if (unreadable && attempt?.state !== 'applied') throw unreadable.error
  if (!attempt || attempt.state === 'applied' || attempt.state === 'refused' || attempt.state === 'failed')
    return { outcome: 'settled', integration }
  const held = await tx.secrets.read(id, ['accessToken', 'refreshToken'])
  if (held.refreshToken?.fingerprint !== attempt.oldFingerprint) {
    await tx.refresh.close(attempt, { state: 'failed', code: 'superseded' }, [id])
    await recordFailure(tx, id, { state: 'failed', code: 'superseded' })
    return { outcome: 'superseded', integration }
  }
  if (attempt.state === 'started') await markUnknown(tx, attempt)
  await tx.record({
    action: 'token.recover',
    outcome: 'started',
    target: targetOf(integration),
    fields: options.retry ? [] : [secretColumns.accessToken, ...overridden(options.urls)],
  })
  return { outcome: 'open', integration, attempt, accessToken: held.accessToken?.value }
}

/** Asks the platform whether the access token still works, and flags the integration. */
async function flag(
  store: Store,
  { integration, attempt, accessToken }: Extract<Found, { outcome: 'open' }>,
  { urls }: RecoverOptions,
): Promise<Recovered> {
  const platform = platformOf(integration)
  const finding: Finding | null = accessToken
    ? await platform.api.check(askPlatform(platform, integration.config, urls), accessToken)
    : null
  const verdict = finding?.verdict ?? null
  const { isLast, now } = await serialize(store, () =>
    store.mutate(async (tx) => {
      const code = finding?.code ?? verdict
      const isLast = (await tx.refresh.close(attempt, { state: 'needs_reauth', code }, [integration.id])).length > 0
      if (isLast)
        await tx.record({
          action: 'token.recover',
          outcome: 'failed',
          target: targetOf(integration),
          fields: ['outcome:needs_reauth', ...(verdict === null ? [] : [`access_token:${verdict}`])],
        })
      return { isLast, now: tx.now }
    }),
  )
  if (!isLast) return { integration, outcome: 'settled', accessToken: verdict, worksUntil: null }
  const works = verdict === 'ok' || verdict === 'limited'
  const seconds = finding?.expiresIn
  const worksUntil = !works
    ? null
    : seconds === undefined
      ? integration.tokenExpiresAt
      : instantOf(now.getTime() + seconds * 1000)
  const until = worksUntil === null ? 'with an unknown expiry' : `until ${worksUntil}`
  const note = works ? `; its access token still works, ${until}` : ''
  return {
    integration,
    outcome: 'needs_reauth',
    accessToken: verdict,
    worksUntil,
    error: outcomeUnknown(integration, 'needs_reauth', note),
  }
}
