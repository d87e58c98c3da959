import { badInput, IntegrationsError, notFound } from '../../errors.ts'
import { type App, type IntegrationView, refOf } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Reader } from '../../store/store.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'
import { commandLine, rotateCommand } from '../texts.ts'

/** Which tokens are due. */
export interface Due {
  /** Tokens that expire within so many milliseconds, and those with an unknown expiry. */
  readonly withinMs: number
  /** All tokens. */
  readonly force: boolean
  /** The attempt that this process has waited for: once it was applied, the token is not due, `force` or not. */
  readonly awaited?: string | undefined
}

/** Why an integration has no token to refresh. */
export interface Refusal {
  readonly outcome: 'unsupported' | 'inactive' | 'no_refresh_token'
  readonly error: IntegrationsError
}

/** A refresh token that may have been used. */
export interface UsedToken {
  readonly outcome: 'outcome_unknown' | 'needs_reauth'
  readonly error: IntegrationsError
}

/** Whether a token can and should be refreshed, as far as it is known without a key. */
export type Eligibility =
  | { readonly outcome: 'due' }
  | { readonly outcome: 'not_due' }
  | { readonly outcome: 'held'; readonly attempt: RefreshAttempt }
  | UsedToken
  | Refusal

/** The eligibility of an integration. @throws BAD_INPUT for a platform that this version does not know */
export async function eligibilityOf(db: Reader, integration: IntegrationView, due: Due): Promise<Eligibility> {
  const refusal = refusalFor(integration)
  if (refusal) return refusal
  const attempt = await db.refresh.of(integration.id)
  if (attempt?.leased) return { outcome: 'held', attempt }
  const { tokenRefresh } = integration
  if (tokenRefresh === 'outcome_unknown' || tokenRefresh === 'needs_reauth')
    return { outcome: tokenRefresh, error: outcomeUnknown(integration, tokenRefresh) }
  return { outcome: isDue({ integration, attempt }, await db.clock(), due) ? 'due' : 'not_due' }
}

/** Whether a token may be due: the application may have written another refresh token, which only the keys can tell. */
export const mayBeDue = (eligibility: Eligibility): eligibility is { readonly outcome: 'due' } | UsedToken =>
  eligibility.outcome === 'due' || eligibility.outcome === 'outcome_unknown' || eligibility.outcome === 'needs_reauth'

/** Whether a token is due. @param now by the database's clock */
export function isDue(
  { integration, attempt }: { integration: IntegrationView; attempt?: RefreshAttempt | undefined },
  now: Date,
  { withinMs, force, awaited }: Due,
): boolean {
  if (awaited !== undefined && attempt?.id === awaited && attempt.state === 'applied') return false
  if (force) return true
  const { tokenExpiresAt, tokenExpiry } = integration
  return tokenExpiresAt === null ? tokenExpiry !== 'never' : Date.parse(tokenExpiresAt) - now.getTime() <= withinMs
}

/** Why an integration has no token to refresh. @throws BAD_INPUT for a platform that this version does not know */
export function refusalFor(integration: IntegrationView): Refusal | undefined {
  const platform = platformOf(integration)
  if (!platform.api.refresh)
    return {
      outcome: 'unsupported',
      error: badInput(
        `${platform.title} tokens cannot be refreshed`,
        `store a new token with ${rotateCommand(integration.id, 'accessToken')}`,
      ),
    }
  if (!integration.isActive) return { outcome: 'inactive', error: inactive(integration) }
  if (integration.refreshToken.set === false) return { outcome: 'no_refresh_token', error: noRefreshToken(integration) }
  return undefined
}

/** The app whose client refreshes a token: the integration's, else the platform's only app. @throws NOT_FOUND, BAD_INPUT */
export async function appOf(db: Reader, integration: IntegrationView, platform: Platform): Promise<App> {
  const apps = await db.apps.list({ platform: platform.id })
  const app =
    integration.app === null && apps.length === 1 ? apps[0] : apps.find(({ name }) => name === integration.app)
  if (app) return app
  if (apps.length === 0)
    throw notFound(
      `there is no ${platform.title} app whose client could refresh the token of ${refOf(integration)}`,
      `integrations apps add <name> --platform ${platform.id} --client-id <id>`,
    )
  throw badInput(
    `${refOf(integration)} names no app, and ${platform.title} has several: ${apps.map(({ name }) => name).join(', ')}`,
    commandLine('update', [integration.id], ['--app', apps[0]?.name ?? '']),
  )
}

/** The error for an integration that is inactive. */
export const inactive = (integration: IntegrationView): IntegrationsError =>
  badInput(`${refOf(integration)} is inactive`, commandLine('enable', [integration.id]))

/** The error for an integration without a refresh token. */
export const noRefreshToken = (integration: IntegrationView): IntegrationsError =>
  notFound(
    `${refOf(integration)} has no refresh token`,
    `if token rotation is enabled for the app, store a refresh token: ${rotateCommand(integration.id, 'refreshToken')}`,
  )

/** The hint where a person has to authorize the application again. */
export const reauthorize = (integration: IntegrationView): string =>
  `authorize the application again at ${platformOf(integration).api.reauthorize ?? 'the platform'}, then store the new tokens: ${rotateCommand(integration.id, 'accessToken', 'refreshToken')}`

/** The error for a refresh token that may have been used. @param detail ends the message */
export const outcomeUnknown = (
  integration: IntegrationView,
  state: UsedToken['outcome'],
  detail = '',
): IntegrationsError =>
  new IntegrationsError({
    code: 'OUTCOME_UNKNOWN',
    message:
      state === 'outcome_unknown'
        ? `a refresh of ${refOf(integration)} has an unknown outcome and may have used its refresh token${detail}`
        : `the refresh token of ${refOf(integration)} has probably been used${detail}`,
    hint: state === 'outcome_unknown' ? commandLine('recover', [integration.id]) : reauthorize(integration),
  })

/** Refuses to remove an integration whose tokens are being refreshed: the new tokens would be lost. @throws LEASE_HELD */
export async function refuseWhileRefreshed(db: Reader, integration: IntegrationView): Promise<void> {
  const attempt = await db.refresh.of(integration.id)
  if (attempt?.leased) throw leaseHeld(integration, attempt, 'try again after the lease')
}

/** The error for an attempt whose lease another process holds. */
export const leaseHeld = (
  integration: IntegrationView,
  { owner, leaseUntil }: RefreshAttempt,
  hint = 'wait longer with --wait 2m, or try again later',
): IntegrationsError =>
  new IntegrationsError({
    code: 'LEASE_HELD',
    message: `${owner} is refreshing the token of ${refOf(integration)}, until ${leaseUntil} at most`,
    hint,
  })
