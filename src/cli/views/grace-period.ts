import { shellWord } from '../../errors.ts'
import { flagOf, type IntegrationView, type SecretField } from '../../integration.ts'
import type { Changed } from '../../operations/change.ts'
import { secretsCommand } from '../../operations/texts.ts'
import type { Context } from '../context.ts'

/**
 * What happens to the previous value of a secret, as the second half of a sentence: until when it is valid, and where.
 * Empty when there was no value.
 *
 * @param options `name`: what to call it
 */
export function describePrevious(
  { before, after }: Changed,
  field: SecretField,
  { dryRun, name = `the previous ${flagOf(field)}` }: { readonly dryRun: boolean; readonly name?: string },
): string {
  if (before[field].set === false) return ''
  const previous = `; ${name}`
  const until = after[field].previousValidUntil
  const is = dryRun ? 'would be' : 'is'
  // A token is shown to the platform, which alone decides how long it accepts it.
  if (field !== 'webhookSecret')
    return `${previous} ${until === null ? `${is} deleted` : `${is} kept until ${until}`} here`
  return until === null
    ? `${previous} ${is} refused from now on`
    : `${previous} ${dryRun ? 'would stay' : 'stays'} valid until ${until} in endpoints that use the receiver library`
}

/** What to type during a grace period. */
export const graceNextSteps = (ref: string, fields: readonly SecretField[]): string[] => [
  secretsCommand(ref),
  ...fields.flatMap((field) => [
    `integrations secrets finish ${shellWord(ref)} ${flagOf(field)}`,
    `integrations secrets revert ${shellWord(ref)} ${flagOf(field)}`,
  ]),
]

/** Says so when no endpoint that accepts an old value is known, while one is to be accepted. */
export async function warnIfNoReceiver(ctx: Context, { webhookSecret }: IntegrationView): Promise<void> {
  if (webhookSecret.previousValidUntil === null) return
  const { receiverSeenAt } = await (await ctx.store()).read((db) => db.keys.settings())
  if (receiverSeenAt === null)
    ctx.output.warn(
      'no receiver has connected yet; other verifiers accept only the new secret, so the grace period has no effect',
    )
}
