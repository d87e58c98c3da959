import { Command } from '@commander-js/extra-typings'
import { refOf } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import { removeIntegration } from '../../operations/integrations/remove.ts'
import type { Context } from '../context.ts'
import { declareChange, dryRunOption, examples, ifVersionOption, refArgument } from '../input/arguments.ts'
import { confirmByTyping, confirmOption } from '../input/consent.ts'
import { outcomeOf } from '../output/values.ts'
import { stillAccepted } from '../views/grace-period.ts'
import { integrationView } from '../views/integration.ts'

/** `integrations remove` */
export const command = (ctx: Context) =>
  declareChange(new Command('remove'), ctx.output, integrationView)
    .description(
      'Remove an integration with its secrets and config. Nothing is kept, and the removal cannot be undone.',
    )
    .addArgument(refArgument())
    .addOption(confirmOption())
    .addOption(ifVersionOption())
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations remove Acme/support', 'integrations remove Acme/support --confirm support'))
    .action(async (ref, { confirm, ifVersion, dryRun }) => {
      const store = await ctx.store()
      const shown = await store.read((db) => findIntegration(db, ref))
      const name = refOf(shown)
      const left =
        shown.accessToken.set === false ? undefined : stillAccepted(shown, 'accessToken', `the token of ${name}`)
      if (!dryRun)
        await confirmByTyping(ctx, {
          word: shown.name,
          confirm,
          warning: `This removes ${name} (${shown.platform}) with its secrets and config; nothing is kept.${left === undefined ? '' : ` ${left}.`}`,
        })
      const asked = confirm === undefined && !dryRun
      const removed = await removeIntegration(store, shown.id, {
        dryRun,
        ifVersion: ifVersion ?? (asked ? shown.version : undefined),
      })
      await ctx.output.change(integrationView, removed, {
        outcome: outcomeOf(true, dryRun),
        sentence: `${dryRun ? 'would remove' : 'removed'} ${name} with its secrets and config`,
      })
      if (left !== undefined && !asked) ctx.output.note(left)
    })
