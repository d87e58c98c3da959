import { IntegrationsError } from '../../errors.ts'
import { flagOf, type IntegrationView, refOf, secretColumns } from '../../integration.ts'
import type { Revocation } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import { commandLine } from '../texts.ts'

/** A token of an integration, and what its platform answered to the request to revoke it. */
export interface AnsweredToken {
  readonly integration: IntegrationView
  /** The field as the audit log names it: a previous token is one that another has replaced. */
  readonly field: string
  readonly answer: Revocation
}

/** What a platform answered, as a sentence without a full stop. @param count of how many tokens it did so */
export function describeRevocation({ integration, field, answer }: AnsweredToken, count = 1): string {
  const { title } = platformOf(integration)
  const name = `${field === secretColumns.accessToken ? '' : 'previous '}access-token`
  const what = `${count === 1 ? `the ${name}` : `${count} ${name}s`} of ${refOf(integration)}`
  const code = answer.code === null ? '' : ` (${answer.code})`
  switch (answer.outcome) {
    case 'revoked':
      return `${title} has revoked ${what}`
    case 'accepted':
      return `${title} has accepted the request to revoke ${what}`
    case 'invalid':
      return `${title} did not accept ${what} any more${code}`
    case 'refused':
      return `${title} refuses to revoke ${what}${code}, and still accepts it`
    case 'failed':
      return `${title} did not revoke ${what}${code}, and still accepts it`
    case 'unknown':
      return `it is unknown whether ${title} has revoked ${what}${code}`
    default:
      return answer.outcome satisfies never
  }
}

/**
 * The error for a token that was not revoked, or may not have been; undefined for one that was.
 *
 * @param ref the integration as the user named it, where the token is still stored
 */
export function revocationError(token: AnsweredToken, ref?: string): IntegrationsError | undefined {
  const { integration, answer } = token
  const { outcome } = answer
  if (outcome !== 'refused' && outcome !== 'failed' && outcome !== 'unknown') return undefined
  const page = platformOf(integration).secrets.accessToken?.page
  const gone = ref === undefined ? ': its value is not stored here any more' : ''
  const hints = {
    refused: `revoke the token by hand at ${page}${gone}`,
    failed:
      ref === undefined
        ? `revoke the token by hand at ${page}${gone}`
        : commandLine('secrets revoke', [ref, flagOf('accessToken')]),
    unknown:
      ref === undefined
        ? `check at ${page} whether the token is gone, and revoke the token by hand otherwise${gone}`
        : commandLine('check', [ref], ['--no-fill']),
  }
  const codes = { refused: 'CREDENTIAL_REFUSED', failed: 'PLATFORM_FAILED', unknown: 'OUTCOME_UNKNOWN' } as const
  return new IntegrationsError({
    code: codes[outcome],
    message: describeRevocation(token),
    hint: hints[outcome],
    committed: ref === undefined,
  })
}
