import type { Instant } from '../../brands.ts'
import { badInput, IntegrationsError } from '../../errors.ts'
import { flagOf, type SecretField } from '../../integration.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { commandLine } from '../texts.ts'

/** The longest grace period. */
const maxGracePeriodMs = 7 * 86_400_000

/** The end of a grace period; now for none. @throws BAD_INPUT */
export function gracePeriodEnd(gracePeriod: number | Instant | undefined, now: Date): Date {
  if (gracePeriod === undefined) return now
  const isDuration = typeof gracePeriod === 'number'
  const until = new Date(isDuration ? now.getTime() + gracePeriod : gracePeriod)
  if (until < now) throw badInput('--until is in the past', 'pass --grace 0 to expire the previous secret at once')
  if (until.getTime() - now.getTime() > maxGracePeriodMs)
    throw badInput(
      'a grace period is at most 7 days',
      isDuration ? 'pass a shorter --grace, as in --grace 24h' : 'pass an earlier --until, or --grace 24h',
    )
  return until
}

/** Which version of a secret it is, in words. */
export const which = ({ fingerprint, validUntil }: SecretVersion) =>
  `fingerprint ${fingerprint ?? 'unknown'}, valid until ${validUntil}`

/** Refuses to replace a webhook secret while the one before it is accepted. A token is given out, and never matched. @throws GRACE_PERIOD_ACTIVE */
export function requireNoPrevious(
  previous: SecretVersion,
  { label, field, ref, endPrevious }: { label: string; field: SecretField; ref: string; endPrevious: boolean },
): void {
  if (field !== 'webhookSecret' || endPrevious) return
  throw new IntegrationsError({
    code: 'GRACE_PERIOD_ACTIVE',
    message: `the previous ${label} is still accepted (${which(previous)}); another rotation needs --end-previous, which expires it at once`,
    hint: `wait, pass --end-previous, or run ${commandLine('secrets finish', [ref, flagOf(field)])}`,
  })
}
