import { badInput, IntegrationsError, shellWord } from '../../errors.ts'
import { type App, type IntegrationView, refOf } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Reader } from '../../store/store.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'

/** Which tokens are to be refreshed. */
export interface Due {
  /** Tokens that expire within so many milliseconds, and those with an unknown expiry. */
  readonly withinMs: number
  /** All of them. */
  readonly force: boolean
  /** An attempt that was waited for: when it was applied, nothing is left to do, `force` or not. */
  readonly awaited?: string | undefined
}

/** Whether a token can and should be refreshed, as far as can be told without a key. */
export type Eligibility =
  | { readonly outcome: 'due' | 'not_due' }
  | { readonly outcome: 'held'; readonly attempt: RefreshAttempt }
  | { readonly outcome: 'outcome_unknown' | 'needs_reauth'; readonly error: IntegrationsError }
  /** There is nothing to refresh. */
  | { readonly outcome: 'unsupported' | 'inactive' | 'no_refresh_token'; readonly error: IntegrationsError }

/** Looks how the token of an integration stands. @throws BAD_INPUT for a platform that this version does not know */
export async function eligibilityOf(db: Reader, integration: IntegrationView, due: Due): Promise<Eligibility> {
  const obstacle = refusalFor(integration)
  if (obstacle) return obstacle
  const attempt = await db.refresh.of(integration.id)
  if (attempt?.leased) return { outcome: 'held', attempt }
  const { tokenRefresh } = integration
  if (tokenRefresh === 'outcome_unknown' || tokenRefresh === 'needs_reauth')
    return { outcome: tokenRefresh, error: outcomeUnknown(integration, tokenRefresh) }
  return { outcome: isDue(integration, attempt, await db.clock(), due) ? 'due' : 'not_due' }
}

/** Whether a token is to be refreshed now. */
export function isDue(
  { tokenExpiresAt, tokenExpiry }: IntegrationView,
  attempt: RefreshAttempt | undefined,
  now: Date,
  { withinMs, force, awaited }: Due,
): boolean {
  if (awaited !== undefined && attempt?.id === awaited && attempt.state === 'applied') return false
  if (force) return true
  return tokenExpiresAt === null ? tokenExpiry !== 'never' : Date.parse(tokenExpiresAt) - now.getTime() <= withinMs
}

/** Why there is nothing to refresh in an integration. @throws BAD_INPUT for a platform that this version does not know */
export function refusalFor(
  integration: IntegrationView,
): Extract<Eligibility, { outcome: 'unsupported' | 'inactive' | 'no_refresh_token' }> | undefined {
  const platform = platformOf(integration)
  const id = shellWord(integration.id)
  if (!platform.api.refresh)
    return {
      outcome: 'unsupported',
      error: badInput(
        `${platform.title} has no tokens that can be refreshed`,
        `put a new one in with integrations rotate ${id} --field access-token`,
      ),
    }
  if (!integration.isActive)
    return {
      outcome: 'inactive',
      error: badInput(`${refOf(integration)} is inactive`, `integrations enable ${id}`),
    }
  if (integration.refreshToken.set === false) return { outcome: 'no_refresh_token', error: noRefreshToken(integration) }
  return undefined
}

/** The app whose client refreshes an integration's token: the one that it names, else the only one of its platform. */
export async function appOf(db: Reader, integration: IntegrationView, platform: Platform): Promise<App> {
  const apps = await db.apps.list({ platform: platform.id })
  const app =
    integration.app === null && apps.length === 1 ? apps[0] : apps.find(({ name }) => name === integration.app)
  if (app) return app
  if (apps.length === 0)
    throw new IntegrationsError({
      code: 'NOT_FOUND',
      message: `there is no ${platform.title} app here whose client could refresh the token of ${refOf(integration)}`,
      hint: `integrations apps add <name> --platform ${platform.id} --client-id <id>`,
    })
  throw badInput(
    `${refOf(integration)} names no app, and there are several of ${platform.title}: ${apps.map(({ name }) => name).join(', ')}`,
    `integrations update ${shellWord(integration.id)} --app ${shellWord(apps[0]?.name ?? '')}`,
  )
}

/** There is no refresh token to hand in. */
export const noRefreshToken = (integration: IntegrationView): IntegrationsError =>
  new IntegrationsError({
    code: 'NOT_FOUND',
    message: `${refOf(integration)} has no refresh token`,
    hint: `put one in, where the app has token rotation: integrations rotate ${shellWord(integration.id)} --field refresh-token`,
  })

/** What to do where only a person can go on. */
export const reauthorize = (integration: IntegrationView): string =>
  `give the application access again at ${platformOf(integration).api.reauthorize ?? 'the platform'}, then put the new tokens in: integrations rotate ${shellWord(integration.id)} --field access-token refresh-token`

/** Nobody knows whether the refresh token was used up. */
export const outcomeUnknown = (
  integration: IntegrationView,
  state: 'outcome_unknown' | 'needs_reauth',
  why = '',
): IntegrationsError =>
  new IntegrationsError({
    code: 'OUTCOME_UNKNOWN',
    message:
      state === 'outcome_unknown'
        ? `a refresh of ${refOf(integration)} may have used up its refresh token, and nobody knows how it ended${why}`
        : `the refresh token of ${refOf(integration)} is used up, as far as can be told${why}`,
    hint: state === 'outcome_unknown' ? `integrations recover ${shellWord(integration.id)}` : reauthorize(integration),
  })

/** Refuses to remove an integration whose tokens are being refreshed: the new ones would be lost. @throws LEASE_HELD */
export async function refuseWhileRefreshed(db: Reader, integration: IntegrationView): Promise<void> {
  const attempt = await db.refresh.of(integration.id)
  if (attempt?.leased) throw leaseHeld(integration, attempt, 'try again then')
}

/** Somebody else is at it. */
export const leaseHeld = (
  integration: IntegrationView,
  { owner, leaseUntil }: RefreshAttempt,
  hint = 'wait longer with --wait 2m, or look again later',
): IntegrationsError =>
  new IntegrationsError({
    code: 'LEASE_HELD',
    message: `${owner} is refreshing the token of ${refOf(integration)}, until ${leaseUntil} at most`,
    hint,
  })
