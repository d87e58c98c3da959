import { type ListedIntegration, type SecretField, wordsOf } from '../../integration.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import { commandLine, durationText, rotateCommand } from '../texts.ts'
import type { About, Finding, IntegrationCode } from './finding.ts'
import { type Asked, beginning, type Limit } from './policy.ts'

/** What is to be said of an integration that its policies ask for, besides other times than usual for what is judged anyway. */
export function judgeByPolicy(
  integration: ListedIntegration,
  { now, asked }: { readonly now: number; readonly asked: Asked },
  about: About,
): Finding[] {
  const { maxSecretAge, maxTokenAge, expiryRequired, ownerRequired } = asked
  const { accessToken, tokenExpiry, owner, id } = integration
  const old = (code: IntegrationCode, fields: readonly SecretField[], limit: Limit | undefined) =>
    tooOld(integration, { code, fields, limit, now }, about)
  const limited: readonly SecretField[] = [
    ...(maxSecretAge ? (['webhookSecret', 'refreshToken'] as const) : []),
    ...(maxTokenAge ? (['accessToken'] as const) : []),
  ]
  return [
    ...old('secret-old', ['webhookSecret', 'refreshToken'], maxSecretAge),
    ...old('token-old', ['accessToken'], maxTokenAge),
    ...ofUnknownAge(integration, limited, about),
    // One that is not known is told as such.
    ...(expiryRequired && accessToken.set !== false && tokenExpiry === 'never'
      ? [
          about('expiry-missing', {
            since: accessToken.setAt && beginning(Date.parse(accessToken.setAt), expiryRequired),
            evidence: `the access token never expires; the policy ${expiryRequired.policy} requires an expiry`,
            next: rotateCommand(id, 'accessToken'),
          }),
        ]
      : []),
    ...(ownerRequired && owner === null
      ? [
          about('owner-missing', {
            evidence: `no owner; the policy ${ownerRequired.policy} requires one`,
            // A placeholder is not quoted: a shell refuses it as it stands.
            next: commandLine('update', [id], ['--owner', '<owner>']).replace("'<owner>'", '<owner>'),
          }),
        ]
      : []),
  ]
}

function tooOld(
  integration: ListedIntegration,
  {
    code,
    fields,
    limit,
    now,
  }: {
    readonly code: IntegrationCode
    readonly fields: readonly SecretField[]
    readonly limit: Limit | undefined
    readonly now: number
  },
  about: About,
): Finding[] {
  if (!limit) return []
  const old = fields.flatMap((field) => {
    const { set, setAt } = integration[field]
    const end = setAt === null || set === false ? now : Date.parse(setAt) + limit.ms
    return end < now ? [{ field, setAt, end }] : []
  })
  if (old.length === 0) return []
  return [
    about(code, {
      since: beginning(Math.min(...old.map(({ end }) => end)), limit),
      evidence: `${old.map(({ field, setAt }) => `the ${wordsOf(field)} was set at ${setAt}`).join(', ')}; the policy ${limit.policy} allows ${durationText(limit.ms)}`,
      next: rotateCommand(integration.id, ...old.map(({ field }) => field)),
    }),
  ]
}

function ofUnknownAge(integration: ListedIntegration, fields: readonly SecretField[], about: About): Finding[] {
  const platform = findPlatform(integration.platform)
  const unknown = fields.filter(
    (field) => platform?.secrets[field] && integration[field].set !== false && integration[field].setAt === null,
  )
  if (unknown.length === 0) return []
  return [
    about('age-unknown', {
      evidence: `not known how old: ${unknown.map(wordsOf).join(', ')}`,
      next: rotateCommand(integration.id, ...unknown),
    }),
  ]
}
