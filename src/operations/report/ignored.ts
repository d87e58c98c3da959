import type { Instant } from '../../brands.ts'
import type { IgnoredFinding } from '../../store/report/ignored-findings.ts'
import type { Finding } from './finding.ts'

/** Tells until when a finding is ignored, or was at last; undefined: it never was. */
export function lastIgnoredUntil(
  ignored: readonly IgnoredFinding[],
): (finding: Pick<Finding, 'code' | 'integration'>) => Instant | undefined {
  const ends = new Map<string, Map<string | null, Instant>>()
  // The last to end comes last.
  for (const { code, integrationId, until } of ignored)
    ends.set(code, (ends.get(code) ?? new Map()).set(integrationId, until))
  return ({ code, integration }) => {
    const of = ends.get(code)
    const own = of?.get(integration?.id ?? null)
    const everywhere = of?.get(null)
    return own !== undefined && everywhere !== undefined && own < everywhere ? everywhere : (own ?? everywhere)
  }
}
