import { setTimeout as sleep } from 'node:timers/promises'
import { badInput, IntegrationsError } from '../../errors.ts'
import {
  type Instant,
  type IntegrationView,
  type Json,
  type PlatformColumn,
  secretColumns,
  type TokenExpiry,
} from '../../integration.ts'
import { type ApiUrls, askPlatform, overridden } from '../../platforms/api-urls.ts'
import type { Finding, Platform, Verdict } from '../../platforms/platform.ts'
import type { Secret } from '../../secret.ts'
import type { Expiry } from '../../store/secrets/versions.ts'
import type { Store } from '../../store/store.ts'
import type { NewEvent, Target } from '../../store/tables/events.ts'
import { checkId } from '../ids.ts'

/** How platforms are asked. */
export interface Asking {
  readonly urls: ApiUrls
  /** How long to go on where a platform wants to be asked later, in milliseconds. */
  readonly wait: number
}

/** What a platform says of an access token, as far as it can be used. */
export interface Answered {
  readonly verdict: Verdict
  /** The platform's own word, the network's or ours; null for none. */
  readonly code: string | null
  /** What the word does not tell. */
  readonly reason: string | null
  readonly ids: { readonly [C in PlatformColumn]?: string }
  readonly scopes: readonly string[] | null
  readonly expiresAt: Instant | null
}

/** What an integration says otherwise than its platform does. */
export interface Difference {
  readonly field: PlatformColumn | 'tokenExpiresAt'
  readonly stored: string
  readonly platform: string
}

// What a platform says is anything; no id of theirs is nearly as long, and no token lives longer.
const longestId = 200
const longestLife = 100 * 365 * 86_400

/** How much two times may differ that mean the same: somebody has typed one, minutes after the token was made. */
const sameTime = 10 * 60_000

/** Asks a platform whose a token is, again where it wants to be asked later, as long as there is time for that. */
export async function askAbout(
  platform: Platform,
  config: Json,
  token: Secret,
  { urls, wait }: Asking,
): Promise<Answered> {
  const ask = askPlatform(platform, config, urls)
  const deadline = performance.now() + wait
  for (;;) {
    const finding = await platform.api.check(ask, token)
    const pause = Math.max(1, finding.retryAfterSeconds ?? Number.POSITIVE_INFINITY) * 1000
    if (finding.verdict !== 'unreachable' || performance.now() + pause > deadline) return usable(finding)
    await sleep(pause)
  }
}

function usable({ verdict, code, reason, ids = {}, scopes, expiresIn }: Finding): Answered {
  const ends = expiresIn !== undefined && expiresIn <= longestLife
  return {
    verdict,
    code,
    reason: reason ?? null,
    ids: Object.fromEntries(Object.entries(ids).filter(([, id]) => id !== '' && id.length <= longestId)),
    scopes: scopes ?? null,
    expiresAt: ends ? new Date(Date.now() + expiresIn * 1000).toISOString() : null,
  }
}

/** Where what is stored is not what the platform says: of another tenant, or with another end. */
export function differences(
  platform: Platform,
  stored: { readonly tokenExpiresAt: Instant | null; readonly tokenExpiry: TokenExpiry } & {
    readonly [C in PlatformColumn]: string | null
  },
  { verdict, ids, expiresAt }: Answered,
): Difference[] {
  const found: Difference[] = Object.entries(ids).flatMap(([column, id]) => {
    const field = column as PlatformColumn
    const ours = stored[field]
    return ours === null || ours === id || platform.ids[field]?.renamed ? [] : [{ field, stored: ours, platform: id }]
  })
  const { tokenExpiresAt, tokenExpiry } = stored
  const over = tokenExpiresAt !== null && Date.parse(tokenExpiresAt) + sameTime < Date.now()
  const differs = (says: string) =>
    found.push({ field: 'tokenExpiresAt', stored: tokenExpiresAt ?? 'never', platform: says })
  if (verdict === 'expired' && (tokenExpiry === 'never' || (tokenExpiresAt !== null && !over))) differs('ended')
  else if (verdict === 'ok' && expiresAt !== null && tokenExpiry !== 'unknown') {
    if (tokenExpiresAt === null || apart(tokenExpiresAt, expiresAt)) differs(expiresAt)
  } else if (verdict === 'ok' && over) differs('valid')
  return found
}

const apart = (a: Instant, b: Instant) => Math.abs(Date.parse(a) - Date.parse(b)) > sameTime

/** The ids that a person may set as well. */
export const usableIds = (platform: Platform, ids: Answered['ids']): Answered['ids'] =>
  Object.fromEntries(
    Object.entries(ids).filter(([column, id]) => {
      try {
        return checkId(platform, column as PlatformColumn, id, false)
      } catch {
        return false
      }
    }),
  )

/** What the audit log is to say of asking a platform: before, without an answer, and after. */
export const eventOf = (target: Target, platform: Platform, urls: ApiUrls, answer?: Answered): NewEvent => ({
  action: 'platform.check',
  outcome: answer === undefined ? 'started' : answer.verdict === 'unreachable' ? 'failed' : 'done',
  target,
  fields: [
    secretColumns.accessToken,
    ...(answer === undefined ? [] : [`verdict:${answer.verdict}`]),
    ...overridden(new Map([...urls].filter(([id]) => id === platform.id))),
  ],
})

/** Nobody gave the token that is to be checked. */
export const nothingToCheck = (): IntegrationsError =>
  badInput(
    '--check was given without an access token',
    'give the token too, as in --access-token-stdin, or leave --check out',
  )

/** A token that is not stored yet, and the integration that is to hold it. */
export interface NewToken {
  readonly platform: Platform
  readonly integration: IntegrationView
  readonly token: Secret
  readonly expiry: Expiry
}

/**
 * Asks the platform about a token that is to be stored, and refuses one that it refuses, or that is of another tenant
 * than the integration.
 *
 * @returns whose it is, when it ends, and what to warn of
 * @throws CREDENTIAL_REFUSED, PLATFORM_FAILED, CHECK_FAILED
 */
export async function checkNewToken(
  store: Store,
  target: Target,
  { platform, integration, token, expiry }: NewToken,
  asking: Asking,
): Promise<{ ids: Answered['ids']; expiry: Expiry; warnings: string[] }> {
  const { urls } = asking
  await store.mutate((tx) => tx.record(eventOf(target, platform, urls)), { auditOnly: true })
  const answer = await askAbout(platform, integration.config, token, asking)
  await store.mutate((tx) => tx.record(eventOf(target, platform, urls, answer)), { auditOnly: true })
  refuse(platform, answer)
  const { ids, expiresAt } = answer
  const [other] = differences(platform, { ...integration, tokenExpiresAt: null, tokenExpiry: 'unknown' }, answer)
  if (other && other.field !== 'tokenExpiresAt')
    throw new IntegrationsError({
      code: 'CHECK_FAILED',
      message: `the token belongs to the ${platform.title} ${platform.ids[other.field]?.label} ${other.platform}, and the integration to ${other.stored}`,
      hint: 'see that it is the right token, or correct the integration with integrations update; nothing was changed',
    })
  const warnings =
    answer.verdict === 'limited' ? [`${platform.title} accepts the token, but not for all${word(answer)}`] : []
  if (expiresAt === null || expiry === 'unknown') return { ids, expiry: expiresAt ?? expiry, warnings }
  if (expiry === 'never' || apart(expiry, expiresAt))
    warnings.push(`${platform.title} says that the token ends at ${expiresAt}`)
  return { ids, expiry, warnings }
}

const word = ({ code, reason }: Answered) =>
  `${code === null ? '' : ` (${code})`}${reason === null ? '' : `: ${reason}`}`

function refuse(platform: Platform, answer: Answered): void {
  const { title, secrets } = platform
  const page = secrets.accessToken?.page
  switch (answer.verdict) {
    case 'refused':
    case 'expired':
      throw new IntegrationsError({
        code: 'CREDENTIAL_REFUSED',
        message: `${title} ${answer.verdict === 'refused' ? 'refuses the token' : 'says that the token has ended'}${word(answer)}`,
        hint: `see that it is the right token, or make one at ${page}; nothing was changed`,
      })
    case 'unreachable':
      throw new IntegrationsError({
        code: 'PLATFORM_FAILED',
        message: `${title} could not be asked about the token${word(answer)}`,
        hint: 'try again later, or leave --check out; nothing was changed',
      })
    case 'unknown':
      throw new IntegrationsError({
        code: 'CHECK_FAILED',
        message: `${title} gives an answer about the token that nothing is known of${word(answer)}`,
        hint: 'leave --check out if you know better; nothing was changed',
      })
  }
}
