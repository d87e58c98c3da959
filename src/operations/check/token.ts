import { setTimeout as sleep } from 'node:timers/promises'
import { type Fingerprint, type Instant, instantOf } from '../../brands.ts'
import { badInput, checkFailed, IntegrationsError } from '../../errors.ts'
import {
  type Expiry,
  entriesOf,
  type IntegrationView,
  type PlatformColumn,
  secretColumns,
  type TokenExpiry,
} from '../../integration.ts'
import { type ApiUrls, askPlatform, overridden } from '../../platforms/api-urls.ts'
import type { Finding, Platform, Verdict } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { CheckVerdict } from '../../store/activity/health.ts'
import type { NewEvent } from '../../store/audit/events.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { auditOnly, targetOf } from '../change.ts'
import { checkId } from '../ids.ts'

/** How to ask platforms. */
export interface AskOptions {
  readonly urls: ApiUrls
  /** How long to retry while a platform is unreachable and names a time, in milliseconds. */
  readonly wait: number
}

/** A platform's answer about an access token, without implausible values. */
export interface TokenAnswer {
  readonly verdict: Verdict
  /** The platform's own code, or that of a network error, or ours; null for none. */
  readonly code: string | null
  /** Explains the code; null for nothing to explain. */
  readonly reason: string | null
  readonly ids: { readonly [C in PlatformColumn]?: string }
  readonly scopes: readonly string[] | null
  readonly expiresAt: Instant | null
}

/** A difference between an integration and its platform's answer. */
export interface Difference {
  readonly field: PlatformColumn | 'tokenExpiresAt'
  readonly stored: string
  readonly platform: string
}

// A platform may answer anything; values beyond these limits are implausible.
const maxIdLength = 200
const maxLifetimeSeconds = 100 * 365 * 86_400

/** The greatest difference of two times that mean the same: a person may type the expiry minutes after the token is issued. */
const toleranceMs = 10 * 60_000

/** A token to ask a platform about. */
interface Question {
  readonly platform: Platform
  readonly integration: Pick<IntegrationView, 'config'>
  readonly token: Secret
}

/** Asks a platform for the owner of a token; retries for `wait` milliseconds when the platform names a time. */
export async function askAbout(
  { platform, integration, token }: Question,
  { urls, wait }: AskOptions,
): Promise<TokenAnswer> {
  const ask = askPlatform(platform, integration.config, urls)
  const deadline = performance.now() + wait
  for (;;) {
    const finding = await platform.api.check(ask, token)
    const pauseMs = Math.max(1, finding.retryAfterSeconds ?? Number.POSITIVE_INFINITY) * 1000
    if (finding.verdict !== 'unreachable' || performance.now() + pauseMs > deadline) return usable(finding)
    await sleep(pauseMs)
  }
}

function usable({ verdict, code, reason, ids = {}, scopes, expiresIn, expiresAt }: Finding): TokenAnswer {
  const now = Date.now()
  const ends = expiresIn === undefined ? expiresAt?.getTime() : now + expiresIn * 1000
  const plausible = ends !== undefined && ends <= now + maxLifetimeSeconds * 1000
  return {
    verdict,
    code,
    reason: reason ?? null,
    ids: Object.fromEntries(Object.entries(ids).filter(([, id]) => id !== '' && id.length <= maxIdLength)),
    scopes: scopes ?? null,
    expiresAt: plausible ? instantOf(ends) : null,
  }
}

/** The differences between an integration and its platform's answer: another tenant, or another expiry. */
export function differences(
  platform: Platform,
  stored: { readonly tokenExpiresAt: Instant | null; readonly tokenExpiry: TokenExpiry } & {
    readonly [C in PlatformColumn]: string | null
  },
  { verdict, ids, expiresAt }: TokenAnswer,
): Difference[] {
  const found: Difference[] = entriesOf(ids).flatMap(([field, id]) => {
    const ours = stored[field]
    return ours === null || ours === id || platform.ids[field]?.renamed ? [] : [{ field, stored: ours, platform: id }]
  })
  const { tokenExpiresAt, tokenExpiry } = stored
  const over = tokenExpiresAt !== null && Date.parse(tokenExpiresAt) + toleranceMs < Date.now()
  const differs = (says: string) =>
    found.push({ field: 'tokenExpiresAt', stored: tokenExpiresAt ?? 'never', platform: says })
  if (verdict === 'expired' && (tokenExpiry === 'never' || (tokenExpiresAt !== null && !over))) differs('expired')
  else if (verdict === 'ok' && expiresAt !== null && tokenExpiry !== 'unknown') {
    if (tokenExpiresAt === null || differ(tokenExpiresAt, expiresAt)) differs(expiresAt)
  } else if (verdict === 'ok' && over) differs('valid')
  return found
}

const differ = (a: Instant, b: Instant) => Math.abs(Date.parse(a) - Date.parse(b)) > toleranceMs

/** The ids that pass the checks of a person's input. */
export const usableIds = (platform: Platform, ids: TokenAnswer['ids']): TokenAnswer['ids'] =>
  Object.fromEntries(
    entriesOf(ids).filter(([column, id]) => {
      try {
        return checkId(platform, column, { value: id, forceShape: false })
      } catch {
        return false
      }
    }),
  )

/** The event of asking a platform: without an answer before the request, with it afterwards. */
export const eventOf = (integration: IntegrationView, urls: ApiUrls, answer?: TokenAnswer): NewEvent => ({
  action: 'platform.check',
  outcome: answer === undefined ? 'started' : answer.verdict === 'unreachable' ? 'failed' : 'done',
  target: targetOf(integration),
  fields: [
    secretColumns.accessToken,
    ...(answer === undefined ? [] : [`verdict:${answer.verdict}`]),
    ...overridden(new Map([...urls].filter(([id]) => id === integration.platform))),
  ],
})

/** What a code of a platform may be to be kept: a platform may answer anything. */
const keptCode = /^[\w.:-]{1,64}$/

/** The verdict on a token to keep; undefined for a platform that could not be reached, which leaves the one before as it is. */
export function verdictToKeep(
  { verdict, code }: TokenAnswer,
  findings: readonly Difference[],
  fingerprint: Fingerprint,
): CheckVerdict | undefined {
  if (verdict === 'unreachable') return undefined
  if (verdict === 'ok' && findings.length > 0) return { verdict, code: 'differs', fingerprint }
  return { verdict, code: code !== null && keptCode.test(code) ? code : null, fingerprint }
}

/** A new token, and what its platform has said of it. */
export interface CheckedToken {
  readonly answer: TokenAnswer
  readonly token: Secret
}

/** Keeps the verdict on a token that was just stored, within its change, of the integrations that have it after that. */
export async function keepVerdict(
  tx: Transaction,
  changed: readonly IntegrationView[],
  { answer, token }: CheckedToken,
): Promise<void> {
  const fingerprint = tx.secrets.fingerprint(token)
  const holders = changed.filter(({ accessToken }) => accessToken.fingerprint === fingerprint)
  // In the order in which receivers write, so that neither waits for the other.
  for (const one of holders.sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const verdict = verdictToKeep(answer, differences(platformOf(one), one, answer), fingerprint)
    if (verdict) await tx.health.checked(one.id, verdict)
  }
}

/** The error for `--check` without an access token. */
export const nothingToCheck = (): IntegrationsError =>
  badInput('--check needs an access token', 'pass the token too, as in --access-token-stdin, or omit --check')

/** A token that is not stored yet, and its integration. */
export interface NewToken {
  readonly integration: IntegrationView
  readonly token: Secret
  readonly expiry: Expiry
}

/**
 * Asks the platform about a new token, and rejects a token that the platform refuses, or that belongs to another tenant.
 *
 * @returns the answer, the expiry of the token, and warnings
 * @throws CREDENTIAL_REFUSED, PLATFORM_FAILED, CHECK_FAILED
 */
export async function checkNewToken(
  store: Store,
  { integration, token, expiry }: NewToken,
  asking: AskOptions,
): Promise<{ answer: TokenAnswer; expiry: Expiry; warnings: string[] }> {
  const { urls } = asking
  const platform = platformOf(integration)
  await store.mutate((tx) => tx.record(eventOf(integration, urls)), auditOnly)
  const answer = await askAbout({ platform, integration, token }, asking)
  await store.mutate((tx) => tx.record(eventOf(integration, urls, answer)), auditOnly)
  refuse(platform, answer)
  const { expiresAt } = answer
  const [other] = differences(platform, { ...integration, tokenExpiresAt: null, tokenExpiry: 'unknown' }, answer)
  if (other && other.field !== 'tokenExpiresAt')
    throw checkFailed(
      `the token belongs to the ${platform.title} ${platform.ids[other.field]?.label} ${other.platform}, and the integration to ${other.stored}`,
      'check that it is the right token, or correct the integration with integrations update; nothing was changed',
    )
  const warnings =
    answer.verdict === 'limited'
      ? [`${platform.title} accepts the token, with limited permissions${detail(answer)}`]
      : []
  if (expiresAt === null || expiry === 'unknown') return { answer, expiry: expiresAt ?? expiry, warnings }
  if (expiry === 'never' || differ(expiry, expiresAt))
    warnings.push(`${platform.title} reports that the token expires at ${expiresAt}`)
  return { answer, expiry, warnings }
}

const detail = ({ code, reason }: TokenAnswer) =>
  `${code === null ? '' : ` (${code})`}${reason === null ? '' : `: ${reason}`}`

/** @throws for every verdict but `ok` and `limited` */
function refuse({ title, secrets }: Platform, answer: TokenAnswer): void {
  switch (answer.verdict) {
    case 'ok':
    case 'limited':
      return
    case 'refused':
    case 'expired':
      throw new IntegrationsError({
        code: 'CREDENTIAL_REFUSED',
        message: `${title} ${answer.verdict === 'refused' ? 'refuses the token' : 'reports that the token has expired'}${detail(answer)}`,
        hint: `check that it is the right token, or issue a new token at ${secrets.accessToken?.page}; nothing was changed`,
      })
    case 'unreachable':
      throw new IntegrationsError({
        code: 'PLATFORM_FAILED',
        message: `${title} could not be asked about the token${detail(answer)}`,
        hint: 'try again later, or omit --check; nothing was changed',
      })
    case 'unknown':
      throw checkFailed(
        `${title} gives an undocumented answer about the token${detail(answer)}`,
        'omit --check if the token is right; nothing was changed',
      )
    default:
      answer.verdict satisfies never
  }
}
