import type { Context } from '../../context.ts'
import { examples, revisionArgument } from '../../input/arguments.ts'
import { answerConfigChange } from '../../views/config.ts'
import { changeCommand } from '../change.ts'

/** `integrations config revert` */
export const command = (ctx: Context) =>
  changeCommand(ctx, 'revert')
    .summary('put back the config from before a change')
    .description(
      'Put back the config from before a change that config history lists, and show what changes. Changes that were made after it go, too. Without a version, refuses (exit 5) when another program has changed the config since the last change.',
    )
    .addArgument(revisionArgument())
    .addHelpText(
      ...examples('integrations config revert Acme/support', 'integrations config revert Acme/support 7 --dry-run'),
    )
    .action(async (ref, version, options) => {
      const { revertConfig } = await import('../../../operations/config/revisions.ts')
      const changed = await revertConfig(await ctx.store(), { ...options, ref, version })
      await answerConfigChange(ctx, changed, options)
    })
