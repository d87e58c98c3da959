import { setTimeout as sleep } from 'node:timers/promises'
import { serialize } from '../../concurrency.ts'
import type { IntegrationsError } from '../../errors.ts'
import { type Instant, type IntegrationView, secretColumns } from '../../integration.ts'
import { askPlatform, overridden } from '../../platforms/api-urls.ts'
import type { Finding, Verdict } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'
import { targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { leaseHeld, outcomeUnknown } from './eligibility.ts'
import { markUnknown, recordFailure } from './lease.ts'
import { type RefreshOptions, refreshOne } from './refresh.ts'
import { openSpooled, readSpool } from './spool.ts'
import { commitRefresh, updateSharers } from './store-tokens.ts'

/** How an attempt was settled. */
export interface Recovered {
  readonly integration: IntegrationView
  /**
   * `applied`: the new tokens are in the database; `superseded`: another refresh token has been put in since;
   * `settled`: nothing was open; `needs_reauth`: flagged, only a person can go on; otherwise why it is not settled.
   */
  readonly outcome:
    | 'applied'
    | 'superseded'
    | 'settled'
    | 'needs_reauth'
    | 'outcome_unknown'
    | 'held'
    | 'refused'
    | 'failed'
    | 'error'
  /** What the platform says of the access token, and until when it works as far as is known; null where it was not asked. */
  readonly accessToken: Verdict | null
  readonly worksUntil: Instant | null
  readonly error?: IntegrationsError
}

/** How to settle attempts. */
export interface RecoverOptions extends Omit<RefreshOptions, 'withinMs' | 'force' | 'retry'> {
  /** A person wants the old refresh token handed in once more. */
  readonly retry: boolean
}

/** The integrations with an attempt of which nobody knows how it ended, or with new tokens in the spool. */
export const toRecover = (store: Store, folder: string): Promise<IntegrationView[]> =>
  store.read(async (db) => {
    const { id: database } = await db.keys.settings()
    const open = (await db.refresh.open()).map(({ integrationId }) => integrationId)
    const spooled = readSpool(folder).flatMap(({ content }) =>
      content?.database === database ? [content.integration] : [],
    )
    const present: IntegrationView[] = []
    for (const id of new Set([...open, ...spooled])) present.push(...(await db.integrations.match({ id }, 1)))
    return present
  })

/**
 * Settles an attempt of which nobody knows how it ended. New tokens that were kept are put into the database. Without
 * any, the platform is asked about the access token, which changes nothing, and the integration is flagged: a person
 * has to give the application access again.
 *
 * @throws NOT_FOUND, DECRYPTION_FAILED, KEY_NOT_FOUND, and with `retry` what `refreshOne` throws
 */
export async function recoverOne(store: Store, { id }: IntegrationView, options: RecoverOptions): Promise<Recovered> {
  const deadline = performance.now() + options.wait
  let opened: Opened
  for (;;) {
    opened = await serialize(store, () => store.mutate((tx) => settleFromSpool(tx, id, options)))
    const pause = 300 + Math.random() * 700
    if (opened.outcome !== 'held' || performance.now() + pause > deadline) break
    await sleep(pause)
  }
  const { integration } = opened
  const result = (outcome: Recovered['outcome'], error?: IntegrationsError): Recovered => ({
    integration,
    outcome,
    accessToken: null,
    worksUntil: null,
    ...(error ? { error } : {}),
  })
  if (opened.outcome === 'held') return result('held', leaseHeld(integration, opened.attempt))
  if (opened.outcome !== 'open') return result(opened.outcome)
  if (options.retry) {
    const retrying = { ...options, retry: opened.attempt.id, withinMs: 0, force: true, wait: 0 }
    const { outcome } = await refreshOne(store, id, retrying)
    return result(outcome === 'refreshed' ? 'applied' : 'settled')
  }
  return flagged(store, opened, options)
}

type Opened =
  | { readonly outcome: 'applied' | 'superseded' | 'settled'; readonly integration: IntegrationView }
  | { readonly outcome: 'held'; readonly integration: IntegrationView; readonly attempt: RefreshAttempt }
  | {
      readonly outcome: 'open'
      readonly integration: IntegrationView
      readonly attempt: RefreshAttempt
      readonly accessToken: Secret | undefined
    }

async function settleFromSpool(tx: Transaction, id: string, options: RecoverOptions): Promise<Opened> {
  await tx.integrations.lock(id)
  const integration = await findIntegration(tx, id)
  const attempt = await tx.refresh.of(id)
  const by = { action: 'token.recover', owner: options.owner } as const
  let unopened: unknown
  for (const file of readSpool(options.spool)) {
    if (file.content?.database !== tx.settings.id) continue
    // What whoever is at it has kept may be stored for them; what was kept before may be stored no more.
    if (file.attempt !== attempt?.id && (file.content.integration !== id || attempt?.leased)) continue
    const tokens = await openSpooled(tx.vault.keys, file).catch((error: unknown) => {
      unopened = error
      return undefined
    })
    if (!tokens) continue
    // Of an attempt before, too: whoever handed the same refresh token in later got nothing for it.
    if (attempt && attempt.state !== 'applied' && tokens.oldFingerprint === attempt.oldFingerprint) {
      const outcome = await commitRefresh(tx, attempt, tokens, by)
      return { outcome: outcome === 'superseded' ? outcome : 'applied', integration }
    }
    // An attempt that the database has lost, with what was restored: the token that was handed in is still here.
    const { refreshToken } = await tx.secrets.read(id, ['refreshToken'])
    if (refreshToken?.fingerprint !== tokens.oldFingerprint) continue
    await updateSharers(tx, id, [id], tokens, tokens, by)
    return { outcome: 'applied', integration }
  }
  if (attempt?.leased) return { outcome: 'held', integration, attempt }
  if (unopened !== undefined && attempt?.state !== 'applied') throw unopened
  if (!attempt || attempt.state === 'applied') return { outcome: 'settled', integration }
  if (attempt.state === 'refused' || attempt.state === 'failed') return { outcome: 'settled', integration }
  const held = await tx.secrets.read(id, ['accessToken', 'refreshToken'])
  if (held.refreshToken?.fingerprint !== attempt.oldFingerprint) {
    await tx.refresh.settle(attempt, { state: 'failed', code: 'superseded' }, [id])
    await recordFailure(tx, id, 'failed', 'superseded')
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

/** Asks whether the access token still works, and flags the integration. */
async function flagged(
  store: Store,
  { integration, attempt, accessToken }: Extract<Opened, { outcome: 'open' }>,
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
      const isLast = (await tx.refresh.settle(attempt, { state: 'needs_reauth', code }, [integration.id])).length > 0
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
      : new Date(now.getTime() + seconds * 1000).toISOString()
  const still = !works
    ? ''
    : worksUntil === null
      ? '; its access token still works, nobody knows until when'
      : `; its access token still works, until ${worksUntil}`
  return {
    integration,
    outcome: 'needs_reauth',
    accessToken: verdict,
    worksUntil,
    error: outcomeUnknown(integration, 'needs_reauth', still),
  }
}
