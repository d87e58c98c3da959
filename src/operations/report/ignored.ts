import type { Instant } from '../../brands.ts'
import type { IgnoredFinding } from '../../store/report/ignored-findings.ts'
import type { Finding } from './finding.ts'

/** Tells until when a finding is ignored; undefined: it is not. @param now in milliseconds since 1970 */
export function ignoredUntil(
  ignored: readonly IgnoredFinding[],
  now: number,
): (finding: Pick<Finding, 'code' | 'integration'>) => Instant | undefined {
  const ends = new Map<string, Map<string | null, Instant>>()
  // The last to end comes last.
  for (const { code, integrationId, until } of ignored)
    if (Date.parse(until) > now) ends.set(code, (ends.get(code) ?? new Map()).set(integrationId, until))
  return ({ code, integration }) => {
    const of = ends.get(code)
    return of?.get(integration?.id ?? null) ?? of?.get(null)
  }
}
