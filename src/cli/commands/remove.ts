import { Command } from '@commander-js/extra-typings'
import { refOf } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import { removeIntegration } from '../../operations/integrations/remove.ts'
import type { Context } from '../context.ts'
import { declareOutput, dryRunOption, examples, ifVersionOption, refArgument } from '../input/arguments.ts'
import { confirmOption, confirmRemoval } from '../input/consent.ts'
import { integrationView } from '../views/integration.ts'

/** `integrations remove` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('remove')
      .description(
        'Remove an integration with its secrets and config. Nothing of it is kept, and it cannot be brought back.',
      )
      .addArgument(refArgument())
      .addOption(confirmOption())
      .addOption(ifVersionOption())
      .addOption(dryRunOption())
      .addHelpText(
        'after',
        examples('integrations remove Acme/support', 'integrations remove Acme/support --confirm support'),
      ),
    ctx.output,
    integrationView,
  ).action(async (ref, { confirm, ifVersion, dryRun }) => {
    const store = await ctx.store()
    const shown = await store.read((db) => findIntegration(db, ref))
    const name = refOf(shown)
    if (!dryRun)
      await confirmRemoval(
        ctx,
        shown.name,
        confirm,
        `This removes ${name} (${shown.platform}) with its secrets and config; nothing of it is kept.`,
      )
    const asked = confirm === undefined && !dryRun
    const removed = await removeIntegration(store, shown.id, {
      dryRun,
      ...(ifVersion === undefined ? (asked ? { ifVersion: shown.version } : {}) : { ifVersion }),
    })
    await ctx.output.change(
      integrationView,
      removed,
      dryRun ? `would remove ${name}; nothing of it would be kept` : `removed ${name}; nothing of it was kept`,
    )
  })
