import { Command } from '@commander-js/extra-typings'
import { refOf } from '../../../integration.ts'
import { findIntegration } from '../../../operations/find.ts'
import { planRevocation, revokerOf } from '../../../operations/secrets/revocation.ts'
import { describeRevocation, revocationError } from '../../../operations/secrets/revocation-answer.ts'
import { revokeCurrent } from '../../../operations/secrets/revoke.ts'
import { noSecret } from '../../../operations/secrets/values.ts'
import { rotateCommand } from '../../../operations/texts.ts'
import type { Context } from '../../context.ts'
import {
  allowPrivateOption,
  apiUrlOption,
  apiUrls,
  declareChange,
  dryRunOption,
  examples,
  ifVersionOption,
  refArgument,
  secretFieldArgument,
} from '../../input/arguments.ts'
import { confirmOption } from '../../input/consent.ts'
import { confirmRevocation } from '../../input/revocation.ts'
import { outcomeOf } from '../../output/values.ts'
import { refreshTokenLeft } from '../../views/grace-period.ts'
import { revokingView, warnOfSharers, withRevocations } from '../../views/revocation.ts'
import { untilAnswered } from '../revocation.ts'

/** `integrations secrets revoke` */
export const command = (ctx: Context) =>
  declareChange(new Command('revoke'), ctx.output, revokingView)
    .summary('have the platform revoke the current access token')
    .description(
      'Have the platform revoke the current access token, which stays stored with its expiry set to now. To replace the token and revoke the previous one, use rotate --grace 0 --revoke. Only access tokens of Slack and GitHub can be revoked by an API. The audit log records the attempt before the platform is asked, and the answer afterwards. A token that the platform did not accept any more counts as revoked. Exits with 4 when the platform refuses, with 7 when it could not be asked, and with 9 when its answer was lost.',
    )
    .addArgument(refArgument())
    .addArgument(secretFieldArgument())
    .addOption(confirmOption('name', 'the name of the integration'))
    .addOption(ifVersionOption())
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations secrets revoke Acme/support access-token',
        'integrations secrets revoke Acme/support access-token --confirm support --reason "leak 2026-11"',
      ),
    )
    .action(async (ref, field, { confirm, ifVersion, ...options }) => {
      const { dryRun } = options
      const urls = await apiUrls(ctx, { ...options, asks: !dryRun })
      const store = await ctx.store()
      const shown = await store.read((db) => findIntegration(db, ref))
      revokerOf(shown, field)
      const plan = await planRevocation(store, shown.id, { scope: 'current' })
      if (plan.count === 0) throw noSecret(shown, field, ref)
      await confirmRevocation(ctx, plan, { confirm, dryRun })
      const asked = confirm === undefined && !dryRun
      const revoking = {
        field,
        asking: { urls, wait: ctx.options.wait },
        uninterrupted: <T>(work: () => Promise<T>) => untilAnswered(ctx, work),
        ifVersion: ifVersion ?? (asked ? shown.version : undefined),
        dryRun,
      }
      const { before, after, revoked } = await revokeCurrent(store, { id: shown.id }, revoking)
      const error = revoked && revocationError(revoked, ref)
      if (error) throw error
      if (revoked?.answer.reason) ctx.output.warn(revoked.answer.reason)
      if (revoked) warnOfSharers(ctx, [revoked])
      const isChange = revoked?.answer.outcome !== 'invalid' || after.version !== before.version
      await ctx.output.change(revokingView, withRevocations(after, revoked ? [revoked] : []), {
        outcome: outcomeOf(isChange, dryRun),
        sentence: revoked
          ? `${describeRevocation(revoked)}; its expiry is ${after.tokenExpiresAt}`
          : `would have ${plan.platform.title} revoke the access-token of ${refOf(shown)}`,
        next: dryRun ? [] : [rotateCommand(ref, field)],
      })
      const left = refreshTokenLeft(after)
      if (left !== undefined) ctx.output.note(left)
    })
