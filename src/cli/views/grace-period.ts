import { shellWord } from '../../errors.ts'
import { flagOf, type IntegrationView, type SecretField } from '../../integration.ts'
import type { Context } from '../context.ts'

/**
 * What becomes of the old value of a field after a change, as the second half of a sentence: until when it is valid,
 * and where. Nothing when there was none.
 *
 * @param name what to call it
 */
export function describePrevious(
  before: IntegrationView,
  after: IntegrationView,
  field: SecretField,
  dryRun: boolean,
  name = `the old ${flagOf(field)}`,
): string {
  if (before[field].set === false) return ''
  const old = `; ${name}`
  const until = after[field].previousValidUntil
  const is = dryRun ? 'would be' : 'is'
  // A token is shown to the platform, which alone decides how long it accepts it.
  if (field !== 'webhookSecret')
    return `${old} ${until === null ? `${is} forgotten` : `${is} kept until ${until}`} here`
  return until === null
    ? `${old} ${is} refused from now on`
    : `${old} ${dryRun ? 'would stay' : 'stays'} valid until ${until} in endpoints that use the receiver library`
}

/** What to type while a window is open. */
export const graceNextSteps = ({ id }: IntegrationView, fields: readonly SecretField[]): string[] => [
  `integrations secrets list ${shellWord(id)}   # which values requests still match`,
  ...fields.flatMap((field) => [
    `integrations secrets finish ${shellWord(id)} ${flagOf(field)}   # end the old value before its time`,
    `integrations secrets revert ${shellWord(id)} ${flagOf(field)}   # make the old value current again`,
  ]),
]

/** Says so when no endpoint that accepts an old value is known, while one is to be accepted. */
export async function warnIfNoReceiver(ctx: Context, { webhookSecret }: IntegrationView): Promise<void> {
  if (webhookSecret.previousValidUntil === null) return
  const { receiverSeenAt } = await (await ctx.store()).read((db) => db.keys.settings())
  if (receiverSeenAt === null)
    ctx.output.warn(
      'no endpoint that uses the receiver library has reported in: whatever else checks webhooks accepts the current value alone',
    )
}
