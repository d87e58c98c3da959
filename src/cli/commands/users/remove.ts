import { Command } from '@commander-js/extra-typings'
import { removeUser } from '../../../operations/directory/users.ts'
import { findUser } from '../../../operations/find.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { confirmByTyping, confirmOption } from '../../input/consent.ts'
import { outcomeOf } from '../../output/values.ts'
import { userView } from '../../views/directory.ts'

/** `integrations users remove` */
export const command = (ctx: Context) =>
  declareChange(new Command('remove'), ctx.output, userView)
    .description('Remove a user. Integrations they created stay, without a creator.')
    .argument('<user>', 'id or e-mail address of the user')
    .addOption(confirmOption())
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations users remove ana@example.com --confirm ana@example.com'))
    .action(async (ref, { confirm, dryRun }) => {
      const store = await ctx.store()
      const shown = await store.read((db) => findUser(db, ref))
      if (!dryRun)
        await confirmByTyping(ctx, {
          word: shown.email,
          confirm,
          warning: `This removes ${shown.email}; integrations they created stay.`,
        })
      const removed = await removeUser(store, { id: shown.id }, { dryRun })
      await ctx.output.change(userView, removed, {
        outcome: outcomeOf(true, dryRun),
        sentence: `${dryRun ? 'would remove' : 'removed'} the user ${removed.email}`,
      })
    })
