import type { Keyring } from '../../crypto/keyring.ts'
import { type IntegrationView, secretColumns } from '../../integration.ts'
import { type ApiUrls, overridden } from '../../platforms/api-urls.ts'
import type { OAuthClient, Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Reader, Transaction } from '../../store/store.ts'
import type { AttemptState, RefreshAttempt } from '../../store/tables/refresh-attempts.ts'
import { targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import {
  appOf,
  type Due,
  type Eligibility,
  eligibilityOf,
  isDue,
  noRefreshToken,
  outcomeUnknown,
} from './eligibility.ts'

/** Whose turn it is, and what it takes to hand a refresh token in. */
export interface Lease {
  readonly outcome: 'leased'
  readonly integration: IntegrationView
  readonly platform: Platform
  readonly app: string
  readonly attempt: RefreshAttempt
  readonly client: OAuthClient
  readonly refreshToken: Secret
  readonly vault: Keyring
  /** The id of the database. */
  readonly database: string
  /** When it began, by the clock of this machine. */
  readonly began: number
}

/** How to begin an attempt. */
export interface LeaseOptions extends Due {
  readonly owner: string
  readonly urls: ApiUrls
  /** The attempt whose refresh token a person wants handed in once more, though it may be used up. */
  readonly retry?: string
  /** For a job that refreshes many: it begins nothing while another job is at work. */
  readonly turn?: Turn | undefined
}

/**
 * Changes of a database wait for each other, so that many jobs which refresh at once would be slower than one, up to the
 * point where leases end before their tokens are stored. So one works, and the others wait for their turn.
 */
export interface Turn {
  /** The attempts that this job has begun. */
  readonly ownAttempts: Set<string>
  /** Waits while the oldest lease is another job's. */
  readonly wait: () => Promise<void>
}

/**
 * Begins an attempt, unless there is no need, or it is somebody else's turn; within a transaction. That it was begun is
 * in the audit log before anything is asked. An attempt whose time has run out is flagged.
 *
 * @throws NOT_FOUND, BAD_INPUT, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function beginRefresh(
  tx: Transaction,
  id: string,
  { owner, urls, retry, turn, ...due }: LeaseOptions,
): Promise<Lease | Exclude<Eligibility, { outcome: 'due' }> | { readonly outcome: 'busy' }> {
  const began = Date.now()
  if (await isOthersTurn(tx, turn)) return { outcome: 'busy' }
  await tx.integrations.lock(id)
  const integration = await findIntegration(tx, id)
  const eligibility = await eligibilityOf(tx, integration, due)
  if (eligibility.outcome === 'held') return eligibility
  const before = await tx.refresh.of(id)
  const retried = retry !== undefined && before?.id === retry
  // Somebody else has tried it again meanwhile.
  if (eligibility.outcome === 'not_due' || (retry !== undefined && !retried)) return { outcome: 'not_due' }
  if ('error' in eligibility && eligibility.outcome !== 'outcome_unknown' && eligibility.outcome !== 'needs_reauth')
    throw eligibility.error
  const platform = platformOf(integration)
  const { refreshToken } = await tx.secrets.read(id, ['accessToken', 'refreshToken'])
  if (!refreshToken) throw noRefreshToken(integration)
  const { fingerprint, value } = refreshToken
  const others = await tx.refresh.attemptsUsing(fingerprint)
  const busy = others.find(({ leased }) => leased)
  if (busy) return { outcome: 'held', attempt: busy }
  const own = others.find(({ integrationId, state }) => integrationId === id && state !== 'applied')
  const open = own ?? others[0]
  if (open && !retried) {
    if (open.state === 'started') await markUnknown(tx, open)
    const outcome = open.state === 'needs_reauth' || open.state === 'applied' ? 'needs_reauth' : 'outcome_unknown'
    // It came to hold the token later, or the application has put the old one back.
    if (!own) {
      const state = outcome === 'outcome_unknown' ? 'unknown' : outcome
      await tx.refresh.attachTo(id, open, { state, code: 'handed_in_before' })
      await recordFailure(tx, id, state, 'handed_in_before')
    }
    return { outcome, error: outcomeUnknown(integration, outcome) }
  }
  // What was read may be newer than what was recorded.
  if (!retried && !isDue(integration, before, tx.now, due)) return { outcome: 'not_due' }
  const app = await appOf(tx, integration, platform)
  const sharers: IntegrationView[] = []
  for (const sharer of await tx.secrets.sharing('refreshToken', fingerprint, value)) {
    // One that is handing in another token just now has not stored this one yet, or not forgotten it.
    if (sharer !== id && !(await tx.refresh.of(sharer))?.leased)
      sharers.push(...(await tx.integrations.match({ id: sharer }, 1)))
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
  return {
    outcome: 'leased',
    integration,
    platform,
    app: app.name,
    attempt,
    client: { id: app.clientId, secret: await tx.apps.secret(app.id) },
    refreshToken: value,
    vault: tx.vault,
    database: tx.settings.id,
    began,
  }
}

/** Whether another job is at work. */
export async function isOthersTurn(db: Reader, turn: Pick<Turn, 'ownAttempts'> | undefined): Promise<boolean> {
  const oldest = turn && (await db.refresh.oldestLease())
  return oldest !== undefined && !turn?.ownAttempts.has(oldest)
}

/** An attempt whose lease has ended without a word: nobody knows whether the platform was asked. */
export const markUnknown = (tx: Transaction, attempt: RefreshAttempt): Promise<void> =>
  closeAttempt(tx, attempt, 'unknown', 'lease_ended')

/** Writes down and records how an attempt ended that brought no tokens, unless another one has begun. */
export async function closeAttempt(
  tx: Transaction,
  attempt: RefreshAttempt,
  state: AttemptState,
  code: string | null,
): Promise<void> {
  for (const id of await tx.refresh.settle(attempt, { state, code })) await recordFailure(tx, id, state, code)
}

/** Records how an attempt ended that brought no tokens. */
export async function recordFailure(tx: Transaction, id: string, state: string, code: string | null): Promise<void> {
  const [integration] = await tx.integrations.match({ id }, 1)
  // Whoever removed it without foreign keys has left its attempt.
  if (!integration) return
  await tx.record({
    action: 'token.refresh',
    outcome: 'failed',
    target: targetOf(integration),
    fields: [`outcome:${state}`, ...(code === null ? [] : [`code:${code}`])],
  })
}
