import type { IntegrationId } from '../../brands.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { type IntegrationView, secretColumns } from '../../integration.ts'
import { type ApiUrls, overridden } from '../../platforms/api-urls.ts'
import type { OAuthClient, Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { CurrentSecret } from '../../store/secrets/current.ts'
import type { Reader, Transaction } from '../../store/store.ts'
import type { AttemptEnd, RefreshAttempt } from '../../store/tables/refresh-attempts.ts'
import { targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import {
  appOf,
  type Due,
  type Eligibility,
  eligibilityOf,
  isDue,
  mayBeDue,
  noRefreshToken,
  outcomeUnknown,
  type UsedToken,
} from './eligibility.ts'

/** The right to use a refresh token, and what using it takes. */
export interface Lease {
  readonly outcome: 'leased'
  readonly integration: IntegrationView
  readonly platform: Platform
  /** The name of the app. */
  readonly app: string
  readonly attempt: RefreshAttempt
  readonly client: OAuthClient
  readonly refreshToken: Secret
  readonly keyring: Keyring
  /** The id of the database. */
  readonly database: string
  /** When the attempt began, in milliseconds since 1970 by the clock of this machine. */
  readonly beganAtMs: number
}

/** Why no attempt was begun: the token is not due, cannot be refreshed or may have been used, or another process is at work. */
export type NoLease = Exclude<Eligibility, { outcome: 'due' }> | { readonly outcome: 'busy' }

/** How to begin an attempt. */
export interface LeaseOptions extends Due {
  readonly owner: string
  readonly urls: ApiUrls
  /** The attempt whose refresh token a person wants to submit again, though it may have been used. */
  readonly retry?: string
  /** For a job that refreshes many: it begins no attempt while another job is at work. */
  readonly turn?: Turn | undefined
}

/**
 * Changes of a database wait for each other, so that many jobs that refresh at the same time would be slower than one, up
 * to the point where leases expire before their tokens are stored. So one job works at a time, and the others wait.
 */
export interface Turn {
  /** The ids of the attempts that this job has begun. */
  readonly ownAttempts: Set<string>
  /** Waits while the oldest lease belongs to another job. */
  readonly wait: () => Promise<void>
}

/**
 * Begins an attempt within a transaction, unless the token is not due or another process is at work. The audit log says
 * that the attempt began before the platform is asked. An attempt whose lease has expired is marked as unknown.
 *
 * @throws NOT_FOUND, also without a refresh token or an app, BAD_INPUT when several apps may refresh the token,
 *   DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function beginRefresh(
  tx: Transaction,
  id: IntegrationId,
  { owner, urls, retry, turn, ...due }: LeaseOptions,
): Promise<Lease | NoLease> {
  const beganAtMs = Date.now()
  if (await isOthersTurn(tx, turn)) return { outcome: 'busy' }
  await tx.integrations.lock(id)
  const integration = await findIntegration(tx, { id })
  const eligibility = await eligibilityOf(tx, integration, due)
  if (!mayBeDue(eligibility)) return eligibility
  const last = await tx.refresh.of(id)
  const retries = retry !== undefined && last?.id === retry
  // Another process may have retried the attempt meanwhile.
  if (retry !== undefined && !retries) return { outcome: 'not_due' }
  const { refreshToken } = await tx.secrets.read(id, ['accessToken', 'refreshToken'])
  if (!refreshToken) throw noRefreshToken(integration)
  const others = await tx.refresh.attemptsUsing(refreshToken.fingerprint)
  const running = others.find(({ leased }) => leased)
  if (running) return { outcome: 'held', attempt: running }
  if (!retries) {
    const used = await markUsed(tx, integration, others)
    if (used) return used
    // The refresh token may be newer than the recorded one, on which the eligibility rests.
    if (!isDue({ integration, attempt: last }, tx.now, due)) return { outcome: 'not_due' }
  }
  const platform = platformOf(integration)
  const app = await appOf(tx, integration, platform)
  return {
    outcome: 'leased',
    integration,
    platform,
    app: app.name,
    attempt: await beginAttempt(tx, integration, { refreshToken, owner, urls }),
    client: { id: app.clientId, secret: await tx.apps.secret(app.id) },
    refreshToken: refreshToken.value,
    keyring: tx.keyring,
    database: tx.settings.id,
    beganAtMs,
  }
}

/** Marks an integration whose refresh token may have been used, by an attempt of its own or of another integration. */
async function markUsed(
  tx: Transaction,
  integration: IntegrationView,
  attempts: readonly RefreshAttempt[],
): Promise<UsedToken | undefined> {
  const { id } = integration
  const own = attempts.find(({ integrationId, state }) => integrationId === id && state !== 'applied')
  const attempt = own ?? attempts[0]
  if (!attempt) return undefined
  if (attempt.state === 'started') await markUnknown(tx, attempt)
  const outcome = attempt.state === 'needs_reauth' || attempt.state === 'applied' ? 'needs_reauth' : 'outcome_unknown'
  // The integration received the token after the attempt, or the application has restored the old token.
  if (!own) {
    const end = { state: outcome === 'needs_reauth' ? outcome : 'unknown', code: 'handed_in_before' } as const
    await tx.refresh.attachTo(id, attempt, end)
    await recordFailure(tx, id, end)
  }
  return { outcome, error: outcomeUnknown(integration, outcome) }
}

/** Begins and records an attempt, for all integrations that share the refresh token. */
async function beginAttempt(
  tx: Transaction,
  integration: IntegrationView,
  { refreshToken, owner, urls }: Pick<LeaseOptions, 'owner' | 'urls'> & { readonly refreshToken: CurrentSecret },
): Promise<RefreshAttempt> {
  const { id } = integration
  const { fingerprint, value } = refreshToken
  const sharers: IntegrationView[] = []
  for (const sharer of await tx.secrets.sharing('refreshToken', fingerprint, value)) {
    // An integration with a running attempt has another refresh token, and has not stored or forgotten this one yet.
    if (sharer !== id && !(await tx.refresh.of(sharer))?.leased)
      sharers.push(...(await tx.integrations.match({ by: 'id', value: sharer }, 1)))
  }
  const attempt = await tx.refresh.begin({
    integrationId: id,
    sharers: sharers.map((sharer) => sharer.id),
    owner,
    oldFingerprint: fingerprint,
  })
  for (const one of [integration, ...sharers])
    await tx.record({
      action: 'token.refresh',
      outcome: 'started',
      target: targetOf(one),
      fields: [secretColumns.refreshToken, ...overridden(urls)],
    })
  return attempt
}

/** Whether another job is at work. @param turn undefined: this process takes no turns */
export async function isOthersTurn(
  db: Reader,
  turn: { readonly ownAttempts: ReadonlySet<string> } | undefined,
): Promise<boolean> {
  const oldest = turn && (await db.refresh.oldestLease())
  return oldest !== undefined && !turn?.ownAttempts.has(oldest)
}

/** Marks an attempt whose lease has expired: the platform may have been asked. */
export const markUnknown = (tx: Transaction, attempt: RefreshAttempt): Promise<void> =>
  closeAttempt(tx, attempt, { state: 'unknown', code: 'lease_ended' })

/** Stores and records how an attempt ended that brought no tokens, unless another attempt has begun. */
export async function closeAttempt(tx: Transaction, attempt: RefreshAttempt, end: AttemptEnd): Promise<void> {
  for (const id of await tx.refresh.close(attempt, end)) await recordFailure(tx, id, end)
}

/** Records how an attempt ended that brought no tokens. */
export async function recordFailure(tx: Transaction, id: IntegrationId, { state, code }: AttemptEnd): Promise<void> {
  const [integration] = await tx.integrations.match({ by: 'id', value: id }, 1)
  // An integration that was removed without foreign keys leaves its attempt behind.
  if (!integration) return
  await tx.record({
    action: 'token.refresh',
    outcome: 'failed',
    target: targetOf(integration),
    fields: [`outcome:${state}`, ...(code === null ? [] : [`code:${code}`])],
  })
}
