import { Command } from '@commander-js/extra-typings'
import { type IntegrationView, refOf } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import { removeIntegration } from '../../operations/integrations/remove.ts'
import { planRevocation } from '../../operations/secrets/revocation.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Context } from '../context.ts'
import {
  allowPrivateOption,
  apiUrlOption,
  apiUrls,
  declareChange,
  dryRunOption,
  examples,
  ifVersionOption,
  refArgument,
} from '../input/arguments.ts'
import { confirmByTyping, confirmOption } from '../input/consent.ts'
import { revocationWarning, revokeOption } from '../input/revocation.ts'
import { outcomeOf } from '../output/values.ts'
import { hasExpired, refreshTokenLeft, stillAccepted } from '../views/grace-period.ts'
import { revokingView, withRevocations } from '../views/revocation.ts'
import { revokeAfterChange } from './revocation.ts'

/** `integrations remove` */
export const command = (ctx: Context) =>
  declareChange(new Command('remove'), ctx.output, revokingView)
    .description(
      'Remove an integration with its secrets and config. Nothing is kept, and the removal cannot be undone. The platform goes on accepting the access token until its expiry, unless --revoke has the platform revoke it.',
    )
    .addArgument(refArgument())
    .addOption(revokeOption('its access tokens'))
    .addOption(confirmOption())
    .addOption(ifVersionOption())
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations remove Acme/support',
        'integrations remove Acme/support --confirm support',
        'integrations remove Acme/support --revoke',
      ),
    )
    .action(async (ref, { confirm, ifVersion, ...options }) => {
      const { dryRun, revoke } = options
      const urls = await apiUrls(ctx, { ...options, check: revoke, asks: revoke && !dryRun, flags: '--revoke' })
      const store = await ctx.store()
      const shown = await store.read((db) => findIntegration(db, ref))
      const name = refOf(shown)
      const destroyed = revoke ? revocationWarning(await planRevocation(store, shown.id, { scope: 'all' }), dryRun) : ''
      const left = leftAccepted(shown, revoke)
      const asked = confirm === undefined && !dryRun
      if (!asked && destroyed !== '') ctx.output.note(destroyed)
      if (!dryRun) {
        const offer = !revoke && shown.accessToken.set !== false && findPlatform(shown.platform)?.api.revoker
        const more = [
          left === undefined ? '' : `${left}.`,
          offer ? 'With --revoke, the token is revoked.' : '',
          destroyed,
        ].filter((sentence) => sentence !== '')
        await confirmByTyping(ctx, {
          word: shown.name,
          confirm,
          warning: [
            `This removes ${name} (${shown.platform}) with its secrets and config; nothing is kept.`,
            ...more,
          ].join(' '),
        })
      }
      const { integration, tokens } = await removeIntegration(
        store,
        { id: shown.id },
        {
          dryRun,
          ifVersion: ifVersion ?? (asked ? shown.version : undefined),
          revoke: revoke ? urls : undefined,
        },
      )
      const { told, revoked, error } = await revokeAfterChange(ctx, dryRun ? [] : tokens, urls)
      await ctx.output.change(revokingView, withRevocations(integration, revoked), {
        outcome: outcomeOf(true, dryRun),
        sentence: `${dryRun ? 'would remove' : 'removed'} ${name} with its secrets and config${told}`,
      })
      if (left !== undefined && !asked) ctx.output.note(left)
      if (error) throw error
    })

/** Which token the platform still accepts after the removal. */
function leftAccepted(shown: IntegrationView, revoke: boolean): string | undefined {
  const name = refOf(shown)
  if (!revoke && shown.accessToken.set !== false && !hasExpired(shown))
    return stillAccepted(shown, 'accessToken', `the token of ${name}`)
  return refreshTokenLeft(shown)
}
