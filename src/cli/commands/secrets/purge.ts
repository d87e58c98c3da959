import { Command } from '@commander-js/extra-typings'
import { purgeSecrets } from '../../../operations/secrets.ts'
import { answers, examples } from '../../arguments.ts'
import type { Context } from '../../context.ts'
import { purgeView } from '../../views.ts'

/** `integrations secrets purge` */
export const purgeCommand = (ctx: Context) =>
  answers(
    new Command('purge')
      .summary('forget the old values whose time is over')
      .description(
        'Forget the old values whose time is over, in every integration. They are not accepted any more in any case; every change forgets them too.',
      )
      .addHelpText('after', examples('integrations secrets purge')),
    ctx.output,
    purgeView,
  ).action(async () => {
    const purged = await purgeSecrets(await ctx.store())
    await ctx.output.change(
      purgeView,
      { purged },
      purged === 0
        ? 'no old value is kept beyond its time; nothing was changed'
        : `forgot ${purged} old ${purged === 1 ? 'value' : 'values'} whose time is over`,
    )
  })
