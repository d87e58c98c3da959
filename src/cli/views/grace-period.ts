import { flagOf, type IntegrationView, refOf, type SecretField } from '../../integration.ts'
import type { Changed } from '../../operations/change.ts'
import { knownReceivers } from '../../operations/secrets/receivers.ts'
import { commandLine, secretsCommand } from '../../operations/texts.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Context } from '../context.ts'
import { readAfterChange } from './changes.ts'

/**
 * What happens to the previous value of a secret, as the second half of a sentence: until when it is valid, and where.
 * Empty when there was no value.
 *
 * @param options `name`: what to call it; `refused`: as from `whenRefused`; `revoke`: the platform is to revoke an access token
 */
export function describePrevious(
  { before, after }: Changed,
  field: SecretField,
  {
    dryRun,
    // What cannot be read may have been nothing.
    name = `${before[field].set === null ? 'any' : 'the'} previous ${flagOf(field)}`,
    refused = 'from now on',
    revoke = false,
  }: {
    readonly dryRun: boolean
    readonly name?: string
    readonly refused?: string | undefined
    readonly revoke?: boolean
  },
): string {
  if (before[field].set === false) return ''
  const previous = `; ${name}`
  const until = after[field].previousValidUntil
  const is = dryRun ? 'would be' : 'is'
  if (field !== 'webhookSecret') {
    if (until !== null) return `${previous} ${is} kept here until ${until} at the latest`
    const accepted =
      field === 'accessToken' && (revoke || hasExpired(before)) ? '' : `, and ${stillAccepted(after, field)}`
    return `${previous} ${is} deleted here${accepted}`
  }
  return until === null
    ? `${previous} ${is} refused ${refused}`
    : `${previous} ${dryRun ? 'would stay' : 'stays'} valid until ${until} in endpoints that use the receiver library`
}

/** Whether an access token is known to have expired: its platform does not accept it. */
export const hasExpired = ({ tokenExpiresAt }: IntegrationView): boolean =>
  tokenExpiresAt !== null && Date.parse(tokenExpiresAt) <= Date.now()

/** What becomes of a token that is deleted here, to go on with: the platform alone decides how long it accepts it. @param what what to call the token */
export function stillAccepted({ platform }: IntegrationView, field: SecretField, what = 'it'): string {
  const known = findPlatform(platform)
  const page = known?.secrets[field]?.page
  return `${known?.title ?? platform} still accepts ${what} until its expiry or revocation${page === undefined ? '' : `: ${page}`}`
}

/** That the platform still accepts the refresh token, which no API revokes; undefined without one. */
export const refreshTokenLeft = (integration: IntegrationView): string | undefined =>
  integration.refreshToken.set === false
    ? undefined
    : stillAccepted(integration, 'refreshToken', `the refresh token of ${refOf(integration)}`)

/** The grace period of a person who does not say how long; a script that replaces a value has to say it. */
export const agreedGraceMs = 86_400_000

/** Says what becomes of the previous values of secrets in that grace period. */
export const noteAgreedGrace = ({ output }: Context, fields: readonly SecretField[]): void => {
  if (fields.length === 0) return
  const fates = fields.map(
    (field) =>
      `the previous ${flagOf(field)} ${field === 'webhookSecret' ? 'stays valid' : 'is kept here'} for 24 hours`,
  )
  output.note(`${fates.join('; ')}; change that with --grace`)
}

/** What to type during a grace period. */
export const graceNextSteps = (ref: string, fields: readonly SecretField[]): string[] => [
  secretsCommand(ref),
  ...fields.flatMap((field) => [
    commandLine('secrets finish', [ref, flagOf(field)]),
    commandLine('secrets revert', [ref, flagOf(field)]),
  ]),
]

const receivers = (ctx: Context) =>
  readAfterChange(ctx, async () => knownReceivers(await ctx.store(), ctx.keys()), undefined)

/** Says so when no endpoint that accepts an old value is known, while one is to be accepted. */
export async function warnIfNoReceiver(ctx: Context, { webhookSecret }: IntegrationView): Promise<void> {
  if (webhookSecret.previousValidUntil === null) return
  const known = await receivers(ctx)
  if (known && !known.any)
    ctx.output.warn(
      'no receiver has reported within a day; other verifiers accept only the new secret, so the grace period has no effect there',
    )
}

/** From when on receivers refuse an expired secret, as far as they have said, to complete "is refused …". */
export async function whenRefused(ctx: Context): Promise<string> {
  const known = await receivers(ctx)
  if (!known) return 'from now on; receivers may take longer'
  const { limits, forged } = known
  // A lower limit can be forged, though no receiver goes by it.
  if (forged)
    return 'from now on; receivers may take longer, and a row of integration_receivers is not that of a receiver of this database'
  // A receiver that can only read the database never reports.
  if (limits.length === 0)
    return 'from now on; receivers may take longer, and none has reported its limits within a day'
  const remember = Math.max(...limits.map((one) => one.remember))
  const stale = Math.max(...limits.map((one) => one.stale))
  const away = stale > remember ? `; within ${stale} s at a receiver that cannot reach the database` : ''
  return `within ${remember} s${away}; receivers that have not reported their limits within a day may take longer`
}
