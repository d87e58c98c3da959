import { Command } from '@commander-js/extra-typings'
import { findApp, removeApp } from '../../../operations/directory/apps.ts'
import { findPlatform } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { confirmByTyping, confirmOption } from '../../input/consent.ts'
import { outcomeOf } from '../../output/values.ts'
import { appView } from '../../views/directory.ts'

/** `integrations apps remove` */
export const command = (ctx: Context) =>
  declareChange(new Command('remove'), ctx.output, appView)
    .description('Remove an OAuth app and its client secret. Refused while an integration names the app.')
    .argument('<name>', 'name or id of the app')
    .addOption(confirmOption())
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations apps remove acme-bot --confirm acme-bot'))
    .action(async (ref, { confirm, dryRun }) => {
      const store = await ctx.store()
      const shown = await store.read((db) => findApp(db, ref))
      if (!dryRun && shown.integrations === 0)
        await confirmByTyping(ctx, {
          word: shown.name,
          confirm,
          warning: `This removes the app ${shown.name}; its tokens can no longer be refreshed.`,
        })
      const removed = await removeApp(store, { id: shown.id }, { dryRun })
      await ctx.output.change(appView, removed, {
        outcome: outcomeOf(true, dryRun),
        sentence: `${dryRun ? 'would remove' : 'removed'} the app ${removed.name}`,
      })
      const { platform } = removed
      const left = await store.read((db) => db.apps.list({ platform }))
      if (left.every(({ id }) => id === removed.id))
        ctx.output.warn(`without an app, no ${findPlatform(platform)?.title ?? platform} token can be refreshed`)
    })
