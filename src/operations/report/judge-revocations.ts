/** What is to be said of requests to revoke a token, of whose outcome nothing is known. @module */
import type { Instant } from '../../brands.ts'
import { flagOf, type ListedIntegration } from '../../integration.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { UnknownRevocation } from '../../store/audit/revocations.ts'
import { commandLine } from '../texts.ts'
import { type About, type Finding, findingCodes } from './finding.ts'

/** For how long a revocation may be under way. */
const revocationMs = 120_000

/** Whether a token is one that its platform may accept, although it was asked to revoke the token, and nobody asks any more. */
const mayBeAccepted = ({ at }: UnknownRevocation, end: Instant | null, now: number) =>
  now - Date.parse(at) >= revocationMs && (end === null || Date.parse(end) > now)

/** What is to be said of such requests for an integration: one finding, of a token that is still stored if there is one. @param now in milliseconds since 1970 */
export function judgeRevocations(
  {
    integration,
    revocations,
  }: { readonly integration: ListedIntegration; readonly revocations: readonly UnknownRevocation[] },
  now: number,
  about: About,
): Finding[] {
  const { id, platform, accessToken, tokenExpiresAt, lastCheck } = integration
  const isStored = ({ fingerprint }: UnknownRevocation) => fingerprint === accessToken.fingerprint
  const unknown = revocations.filter((one) => {
    const end = isStored(one) ? tokenExpiresAt : one.expiresAt
    if (!mayBeAccepted(one, end, now)) return false
    const isRefused = lastCheck?.verdict === 'refused' || lastCheck?.verdict === 'expired'
    return !(isStored(one) && isRefused && lastCheck.at > one.at)
  })
  const [first] = unknown
  if (!first) return []
  const { title = platform, secrets } = findPlatform(platform) ?? {}
  const stored = unknown.find(isStored)
  const { at } = stored ?? first
  const others = unknown.length === 1 ? '' : `, and ${unknown.length - 1} other${unknown.length === 2 ? '' : 's'}`
  return [
    about('revocation-outcome-unknown', {
      since: first.at,
      evidence: stored
        ? `${title} was asked at ${at} to revoke the access token${others}`
        : `${title} was asked at ${at} to revoke an access token that is not stored any more${others}: revoke the token by hand at ${secrets?.accessToken?.page ?? title}`,
      next: stored ? commandLine('secrets revoke', [id, flagOf('accessToken')]) : null,
    }),
  ]
}

/** What is to be said of such requests for integrations that are not there any more. @param now in milliseconds since 1970 */
export const judgeRemoved = (requests: readonly UnknownRevocation[], now: number): Finding[] =>
  requests
    .filter((one) => mayBeAccepted(one, one.expiresAt, now))
    .map(({ at, name }) => ({
      code: 'revocation-outcome-unknown',
      severity: findingCodes['revocation-outcome-unknown'][0],
      integration: null,
      since: at,
      evidence: `the platform was asked at ${at} to revoke an access token of ${name ?? 'an integration'}, which is removed: revoke the token by hand`,
      next: null,
    }))
