import { Command, Option } from '@commander-js/extra-typings'
import { flagOf, refOf } from '../../../integration.ts'
import { findIntegration } from '../../../operations/find.ts'
import { finishSecret } from '../../../operations/secrets/finish.ts'
import { planRevocation, revokerOf } from '../../../operations/secrets/revocation.ts'
import { secretsCommand } from '../../../operations/texts.ts'
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
import { confirmRevocation, requireRevoke, revokeOption } from '../../input/revocation.ts'
import { duration } from '../../input/time.ts'
import { outcomeOf } from '../../output/values.ts'
import { stillAccepted, whenRefused } from '../../views/grace-period.ts'
import { revokingView, withRevocations } from '../../views/revocation.ts'
import { revokeAfterChange } from '../revocation.ts'

/** `integrations secrets finish` */
export const command = (ctx: Context) =>
  declareChange(new Command('finish'), ctx.output, revokingView)
    .summary('expire the previous secret early')
    .description(
      'Expire the previous secret before its grace period is over. Refused (exit 5) while the previous secret may be in use: when it matched a request recently, when no running receiver has matched a request with the current secret, or when the report of a receiver is missing, older than two minutes, or not its own. Lack of recorded use is not treated as proof of disuse. Of a token, which requests do not match, the stored previous values are deleted; the platform goes on accepting them until they expire or are revoked there, which --revoke does.',
    )
    .addArgument(refArgument())
    .addArgument(secretFieldArgument())
    .addOption(
      new Option('--when-unused <duration>', 'how long the previous secret must not have matched a request')
        .argParser(duration)
        .default(3_600_000, '1h'),
    )
    .addOption(new Option('--force', 'expire the previous secret, whatever use is recorded').default(false))
    .addOption(revokeOption('the previous access tokens'))
    .addOption(confirmOption('name', 'the name of the integration, for --revoke'))
    .addOption(ifVersionOption())
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations secrets finish Acme/support webhook-secret',
        'integrations secrets finish Acme/support webhook-secret --when-unused 6h',
        'integrations secrets finish Acme/support access-token --revoke',
      ),
    )
    .action(async (ref, field, { revoke, confirm, ...options }) => {
      const { dryRun } = options
      requireRevoke({ revoke, confirm })
      const urls = await apiUrls(ctx, { ...options, check: revoke, asks: revoke && !dryRun, flags: '--revoke' })
      const store = await ctx.store()
      let { ifVersion } = options
      if (revoke) {
        const shown = await store.read((db) => findIntegration(db, ref))
        revokerOf(shown, field)
        await confirmRevocation(ctx, await planRevocation(store, shown.id, { scope: 'previous' }), { confirm, dryRun })
        if (confirm === undefined && !dryRun) ifVersion ??= shown.version
      }
      const { before, after, tokens } = await finishSecret(store, ref, {
        ...options,
        ifVersion,
        field,
        revoke: revoke ? urls : undefined,
      })
      const [flag, where] = [flagOf(field), refOf(after)]
      if (before.version === after.version)
        return ctx.output.change(revokingView, withRevocations(after, []), {
          outcome: 'unchanged',
          sentence: `${where} has no previous ${flag}; no changes made`,
        })
      const { told, revoked, error } = await revokeAfterChange(ctx, dryRun ? [] : tokens, urls)
      const until = before[field].previousValidUntil
      const sentence =
        field === 'webhookSecret'
          ? `${dryRun ? 'would expire' : 'expired'} the previous ${flag} of ${where}, which was valid until ${until}; receivers ${dryRun ? 'would ' : ''}refuse it ${await whenRefused(ctx)}`
          : `${dryRun ? 'would delete' : 'deleted'} every previous ${flag} of ${where}, kept here until ${until} at the latest${revoke ? told : `; ${stillAccepted(after, field, 'each')}`}`
      await ctx.output.change(revokingView, withRevocations(after, revoked), {
        outcome: outcomeOf(true, dryRun),
        sentence,
        next: dryRun ? [] : [secretsCommand(ref)],
      })
      if (error) throw error
    })
