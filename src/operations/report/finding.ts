import type { Instant } from '../../brands.ts'
import { entriesOf, type ListedIntegration, refOf } from '../../integration.ts'

/** How bad a finding is. `unknown`: it cannot be told whether something is wrong, which never counts as fine. */
export const severities = ['error', 'warning', 'unknown'] as const
export type Severity = (typeof severities)[number]

/** Every finding by its code: how bad it is, and what it means. The codes are a public contract: scripts branch on them. */
export const findingCodes = {
  'row-unreadable': ['error', 'fields of the row cannot be read'],
  'token-expired': ['error', 'the access token has expired'],
  'refresh-overdue': ['error', 'the access token expires in less than an hour, and was not refreshed'],
  'refresh-refused': ['error', 'the platform refused the last refresh'],
  'refresh-outcome-unknown': ['error', 'the outcome of the last refresh is unknown'],
  'reauthorization-needed': ['error', 'a person has to authorize the application again'],
  'revocation-outcome-unknown': ['error', 'it is unknown whether the platform has revoked an access token'],
  'secret-missing': ['error', 'a secret that the platform needs is not set'],
  'check-failed': ['error', 'the platform did not accept the access token when check last asked'],
  'config-invalid': ['error', "the config does not match the platform's schema"],
  'secret-not-encrypted': ['error', 'a current value is not encrypted, although the encryption mode is required'],
  'key-unusable': ['error', 'a value is encrypted with a key that is retired, or that the database does not know'],
  'token-expires-1d': ['error', 'the access token expires within 1 day'],
  'token-expires-7d': ['warning', 'the access token expires within 7 days'],
  'token-expires-30d': ['warning', 'the access token expires within 30 days'],
  'token-expires-soon': ['warning', 'the access token expires within the time that a policy names'],
  'secret-old': ['warning', 'a webhook secret or a refresh token is older than a policy allows'],
  'token-old': ['warning', 'the access token is older than a policy allows'],
  'expiry-missing': ['warning', 'the access token never expires, although a policy requires an expiry'],
  'owner-missing': ['warning', 'it has no owner, although a policy requires an owner'],
  'previous-secret-in-use': [
    'warning',
    'the grace period ends within a day, and webhooks still come with the previous secret',
  ],
  'new-secret-unmatched': ['warning', 'a grace period is open, and no webhook has come with the new secret'],
  'grace-period-open': ['warning', 'a previous webhook secret is still accepted'],
  'secret-shared': ['warning', 'other integrations have the same value, though the platform issues one for each'],
  'check-differs': ['warning', 'stored data differs from what the platform told check'],
  'webhooks-refused': ['warning', 'receivers refused webhooks within 24 hours'],
  'inactive-but-used': ['warning', 'inactive, and webhooks have come within 24 hours, since the last change'],
  'never-used': ['warning', 'never used in the 30 days since it was added, or in the time that a policy names'],
  stale: ['warning', 'not used for 30 days, or for the time that a policy names'],
  'receiver-silent': ['warning', 'no receiver has reported for 24 hours'],
  'token-expiry-unknown': ['unknown', 'it is not known when the access token expires'],
  'secret-unknown': ['unknown', 'it is not known whether a secret that the platform needs is set'],
  'age-unknown': ['unknown', 'it is not known how old a secret or a token is, although a policy limits the age'],
  'check-unknown': ['unknown', 'the platform gave check an answer that says nothing'],
  'platform-unknown': ['unknown', 'this version does not know the platform'],
  'use-not-recorded': ['unknown', 'no receiver records use, so nothing can be told about it'],
} as const satisfies { readonly [code: string]: readonly [Severity, string] }

/** The code of a finding. */
export type FindingCode = keyof typeof findingCodes

/** The codes of findings about the database itself. */
export type DatabaseCode = 'receiver-silent' | 'use-not-recorded'

/** The codes of findings about an integration. */
export type IntegrationCode = Exclude<FindingCode, DatabaseCode>

const databaseCodes: { readonly [C in DatabaseCode]: true } = { 'receiver-silent': true, 'use-not-recorded': true }

/** Whether findings with a code are about an integration. */
export const isIntegrationCode = (code: FindingCode): code is IntegrationCode => !(code in databaseCodes)

/** The codes, those of the worst findings first. */
export const codesWorstFirst: readonly FindingCode[] = severities.flatMap((severity) =>
  entriesOf(findingCodes).flatMap(([code, [own]]) => (own === severity ? [code] : [])),
)

/** Something that is wrong, will be, or is not known. */
export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** null: it is about the database. */
  readonly integration: ListedIntegration | null
  /** Since when it is so; null: that is not known. */
  readonly since: Instant | null
  readonly evidence: string
  /** A command to type; null: there is none that helps. */
  readonly next: string | null
}

/** Makes a finding about an integration; what is left out is null, or the meaning of the code. */
export type About = (code: IntegrationCode, more?: Partial<Pick<Finding, 'since' | 'evidence' | 'next'>>) => Finding

/** The worst first; those of the same kind by workspace and name. */
export function byImportance(a: Finding, b: Finding): number {
  const name = ({ integration }: Finding) => (integration === null ? '' : refOf(integration))
  const rank = ({ code }: Finding) => codesWorstFirst.indexOf(code)
  return rank(a) - rank(b) || (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0)
}
