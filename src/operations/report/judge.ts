import { type Instant, instantOf } from '../../brands.ts'
import {
  entriesOf,
  flagOf,
  type IntegrationView,
  type ListedIntegration,
  type SecretField,
  wordsOf,
} from '../../integration.ts'
import { findPlatform, requiredFields } from '../../platforms/platforms.ts'
import type { UnknownRevocation } from '../../store/audit/revocations.ts'
import type { Policy } from '../../store/report/policies.ts'
import type { NotedVersion } from '../../store/secrets/report-facts.ts'
import { commandLine, durationText, rotateCommand } from '../texts.ts'
import { type About, type DatabaseCode, type Finding, findingCodes } from './finding.ts'
import { judgeByPolicy } from './judge-policies.ts'
import { judgeRevocations } from './judge-revocations.ts'
import { judgeUse, judgeUseWhileInactive } from './judge-use.ts'
import { type Asked, askedOf, beginning } from './policy.ts'

/** What is known of one integration. */
export interface Facts {
  readonly integration: ListedIntegration
  readonly noted: readonly Omit<NotedVersion, 'integrationId'>[]
  /** The requests to revoke an access token whose outcome is not known. */
  readonly revocations: readonly UnknownRevocation[]
  /** The secrets whose values other integrations hold too, and how many hold each. */
  readonly shared: { readonly [F in SecretField]?: number }
  /** What is wrong with the config; null: nothing. */
  readonly configProblem: string | null
  /** When this program last changed it; undefined where that does not matter, or is not known. */
  readonly changedAt?: Instant | undefined
}

/** What is known of the database. */
export interface Setting {
  /** By the database's clock, in milliseconds since 1970. */
  readonly now: number
  /** Values have to be encrypted. */
  readonly required: boolean
  /** The keys that decrypt. */
  readonly usableKeys: ReadonlySet<string>
  /** Whether the use of any integration was ever recorded. */
  readonly usesRecorded: boolean
  /** When a receiver last reported; null: none does. */
  readonly lastReport: Instant | null
  /** What integrations are asked to keep. */
  readonly policies: readonly Policy[]
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** The thresholds before the end of an access token, the nearest first. */
const expiryThresholds = [
  ['token-expires-1d', dayMs],
  ['token-expires-7d', 7 * dayMs],
  ['token-expires-30d', 30 * dayMs],
] as const

/** What is to be said of the database itself. */
export function judgeDatabase({ now, usesRecorded, lastReport }: Setting): Finding[] {
  const about = (code: DatabaseCode, more: Pick<Finding, 'since' | 'evidence' | 'next'>): Finding => ({
    code,
    severity: findingCodes[code][0],
    integration: null,
    ...more,
  })
  if (!usesRecorded && lastReport === null)
    return [about('use-not-recorded', { since: null, evidence: findingCodes['use-not-recorded'][1], next: null })]
  if (lastReport === null || now - Date.parse(lastReport) < dayMs) return []
  const since = instantOf(Date.parse(lastReport) + dayMs)
  return [about('receiver-silent', { since, evidence: `the last report is of ${lastReport}`, next: null })]
}

/** What is to be said of one integration. Of those that are inactive, only what stays true when they are not used. */
export function judge(facts: Facts, setting: Setting): Finding[] {
  const { integration } = facts
  const about: About = (code, { since = null, evidence = findingCodes[code][1], next = null } = {}) => ({
    code,
    severity: findingCodes[code][0],
    integration,
    since,
    evidence,
    next,
  })
  if (integration.damage)
    return [
      about('row-unreadable', {
        evidence: `cannot be read: ${integration.damage.join(', ')}`,
        next: 'integrations audit verify',
      }),
    ]
  const always = [
    ...judgeRevocations(facts, setting.now, about),
    ...storage(facts, setting, about),
    ...sharing(facts, about),
  ]
  if (!integration.isActive)
    return [...always, ...judgeUseWhileInactive(integration, { now: setting.now, changedAt: facts.changedAt }, about)]
  if (!findPlatform(integration.platform)) return [about('platform-unknown'), ...always]
  const asked = askedOf(setting.policies, integration)
  return [
    ...missing(facts, about),
    ...token(facts, { ...setting, asked }, about),
    ...refresh(facts, about),
    ...check(facts, about),
    ...refusals(facts, setting, about),
    ...gracePeriod(facts, setting, about),
    ...judgeUse(integration, { ...setting, asked }, about),
    ...config(facts, about),
    ...judgeByPolicy(integration, { now: setting.now, asked }, about),
    ...always,
  ]
}

function missing({ integration }: Facts, about: About): Finding[] {
  const platform = findPlatform(integration.platform)
  const required = platform ? requiredFields(platform) : []
  const lacking = (set: false | null) => required.filter((field) => integration[field].set === set)
  const [gone, unknown] = [lacking(false), lacking(null)]
  const words = (fields: readonly SecretField[]) => fields.map(wordsOf).join(', ')
  return [
    ...(gone.length === 0
      ? []
      : [
          about('secret-missing', {
            since: integration.createdAt,
            evidence: `not set: ${words(gone)}`,
            next: rotateCommand(integration.id, ...gone),
          }),
        ]),
    ...(unknown.length === 0
      ? []
      : [
          about('secret-unknown', {
            evidence: `not known to be set: ${words(unknown)}`,
            next: rotateCommand(integration.id, ...unknown),
          }),
        ]),
  ]
}

/** Whether `refresh` can replace the access token of an integration. */
export const isRefreshed = ({ platform, refreshToken, app }: IntegrationView): boolean =>
  findPlatform(platform)?.api.refresh !== undefined && refreshToken.set !== false && app !== null

/** What may find out an expiry; where the platform has accepted the token, and told none, what sets the expiry: the same token is entered again. */
const expiryCommand = ({ id, lastCheck }: ListedIntegration): string =>
  lastCheck?.verdict === 'ok'
    ? commandLine('rotate', [id], ['--field', flagOf('accessToken'), '--no-expiry'])
    : commandLine('check', [id])

function token(
  { integration }: Facts,
  { now, asked: { expiresWithin } }: { readonly now: number; readonly asked: Asked },
  about: About,
): Finding[] {
  const { accessToken, tokenExpiresAt, tokenExpiry, id } = integration
  const replace = rotateCommand(id, 'accessToken')
  if (tokenExpiresAt === null)
    return accessToken.set && tokenExpiry === 'unknown'
      ? [about('token-expiry-unknown', { since: accessToken.setAt, next: expiryCommand(integration) })]
      : []
  const refreshes = isRefreshed(integration)
  const next = refreshes ? commandLine('refresh', [id]) : replace
  const evidence = `expires at ${tokenExpiresAt}`
  const end = Date.parse(tokenExpiresAt)
  if (end <= now)
    return [about('token-expired', { since: tokenExpiresAt, evidence: `expired at ${tokenExpiresAt}`, next })]
  if (refreshes)
    return end - now < hourMs ? [about('refresh-overdue', { since: instantOf(end - hourMs), evidence, next })] : []
  const [code, ms] =
    expiryThresholds.find(([code, ms]) => {
      // A policy moves warnings, and takes away no error.
      const counts = findingCodes[code][0] === 'error' || !expiresWithin || ms <= expiresWithin.ms
      return end - now <= ms && counts
    }) ?? []
  if (code !== undefined) return [about(code, { since: instantOf(end - ms), evidence, next })]
  if (!expiresWithin || end - now > expiresWithin.ms) return []
  return [
    about('token-expires-soon', {
      since: beginning(end - expiresWithin.ms, expiresWithin),
      evidence: `${evidence}; the policy ${expiresWithin.policy} warns ${durationText(expiresWithin.ms)} before`,
      next,
    }),
  ]
}

function refresh({ integration: { tokenRefresh, id } }: Facts, about: About): Finding[] {
  switch (tokenRefresh) {
    case null:
      return []
    case 'refused':
      return [about('refresh-refused', { next: commandLine('refresh', [id]) })]
    case 'outcome_unknown':
      return [about('refresh-outcome-unknown', { next: commandLine('recover', [id]) })]
    case 'needs_reauth':
      return [about('reauthorization-needed', { next: rotateCommand(id, 'accessToken', 'refreshToken') })]
  }
}

function check({ integration: { lastCheck, id } }: Facts, about: About): Finding[] {
  if (lastCheck === null || (lastCheck.verdict === 'ok' && lastCheck.code === null)) return []
  const { verdict, code, at } = lastCheck
  const kind = verdict === 'ok' ? 'check-differs' : verdict === 'unknown' ? 'check-unknown' : 'check-failed'
  const evidence = `${verdict}${code === null ? '' : ` (${code})`}`
  return [about(kind, { since: at, evidence, next: commandLine('check', [id]) })]
}

function refusals({ integration: { refusedWebhooks, id } }: Facts, { now }: Setting, about: About): Finding[] {
  if (refusedWebhooks === null || now - Date.parse(refusedWebhooks.lastAt) > dayMs) return []
  const { count, since, lastAt, lastReason } = refusedWebhooks
  const evidence = `${count}, the last at ${lastAt}: ${lastReason}`
  return [about('webhooks-refused', { since, evidence, next: commandLine('secrets list', [id]) })]
}

function gracePeriod({ integration, noted }: Facts, { now }: Setting, about: About): Finding[] {
  const until = integration.webhookSecret.previousValidUntil
  if (until === null || Date.parse(until) <= now) return []
  const versions = noted.filter(({ field }) => field === 'webhookSecret')
  const current = versions.find(({ state }) => state === 'current')
  const since = current?.setAt ?? null
  const stillUsed = versions.some(
    ({ state, lastMatchedAt }) => state === 'previous' && lastMatchedAt !== null && lastMatchedAt > (since ?? ''),
  )
  const next = commandLine('secrets list', [integration.id])
  const evidence = `the previous secret is accepted until ${until}`
  const left = Date.parse(until) - now
  if (left <= dayMs && stillUsed)
    return [about('previous-secret-in-use', { since: instantOf(Date.parse(until) - dayMs), evidence, next })]
  if (current && current.lastMatchedAt === null) return [about('new-secret-unmatched', { since, evidence, next })]
  return [
    about('grace-period-open', {
      since,
      evidence,
      next: commandLine('secrets finish', [integration.id, 'webhook-secret']),
    }),
  ]
}

function config({ integration, configProblem }: Facts, about: About): Finding[] {
  if (configProblem === null) return []
  return [about('config-invalid', { evidence: configProblem, next: commandLine('config edit', [integration.id]) })]
}

function storage({ integration: { id }, noted }: Facts, { required, usableKeys }: Setting, about: About): Finding[] {
  return noted.flatMap(({ field, state, keyId, setAt }) => {
    if (state !== 'current') return []
    const next = commandLine('rotate', [id], ['--field', flagOf(field), '--end-previous', '--grace', '0'])
    if (keyId === null)
      return required
        ? [about('secret-not-encrypted', { since: setAt, evidence: `the ${wordsOf(field)} is not encrypted`, next })]
        : []
    if (usableKeys.has(keyId)) return []
    const evidence = `the ${wordsOf(field)} is encrypted with the key ${keyId}, which is retired or not known`
    return [about('key-unusable', { evidence, next: 'integrations keys list' })]
  })
}

function sharing({ integration, shared }: Facts, about: About): Finding[] {
  return entriesOf(shared).map(([field, count]) =>
    about('secret-shared', {
      since: integration[field].setAt,
      evidence: `${count} integrations have the same ${wordsOf(field)}`,
      next: `integrations list --fingerprint ${integration[field].fingerprint}`,
    }),
  )
}
