import { Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import { refOf } from '../../integration.ts'
import type { RevocationPlan } from '../../operations/secrets/revocation.ts'
import type { Context } from '../context.ts'
import { confirmByTyping } from './consent.ts'

/** Has the platform revoke tokens, on commands that delete them here. @param what the tokens */
export const revokeOption = (what: string) =>
  new Option('--revoke', `have the platform revoke ${what}, after a confirmation`).default(false)

/** Refuses the consent to a revocation that is not asked for. @throws BAD_INPUT */
export function requireRevoke({
  revoke,
  confirm,
}: {
  readonly revoke: boolean
  readonly confirm?: string | undefined
}): void {
  if (confirm !== undefined && !revoke)
    throw badInput('--confirm has no effect without --revoke', 'pass --revoke too, or leave --confirm out')
}

/**
 * What a revocation destroys, as sentences; empty where there is nothing to revoke.
 *
 * @param shared whether the same is done for the other integrations with the token
 */
export function revocationWarning(
  { integration, platform, revoker, count, sharers }: RevocationPlan,
  dryRun: boolean,
  shared = false,
): string {
  if (count === 0) return ''
  const what = count === 1 ? 'an access token' : `${count} access tokens`
  const others =
    sharers.length === 0
      ? ''
      : ` Integrations with the same token: ${sharers.join(', ')}${shared ? ', whose previous access tokens are revoked too' : ''}.`
  return `${platform.title} ${dryRun ? 'would' : 'will'} revoke ${what} of ${refOf(integration)}, which cannot be undone. ${revoker.destroys}.${others}`
}

/**
 * Says what a revocation destroys, and has a person agree, who types the name of the integration.
 *
 * @throws INPUT_REQUIRED when no prompt is possible, BAD_INPUT for another name, CANCELLED
 */
export async function confirmRevocation(
  ctx: Context,
  plan: RevocationPlan,
  {
    confirm,
    dryRun,
    shared,
  }: { readonly confirm: string | undefined; readonly dryRun: boolean; readonly shared?: boolean },
): Promise<void> {
  const warning = revocationWarning(plan, dryRun, shared)
  if (warning === '') return
  if (confirm !== undefined || dryRun) ctx.output.note(warning)
  if (!dryRun) await confirmByTyping(ctx, { word: plan.integration.name, confirm, warning })
}
