import { changeConfig, withoutPaths } from '../../../operations/config/config.ts'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'
import { answerConfigChange } from '../../views/config.ts'
import { changeCommand } from '../change.ts'

/** `integrations config unset` */
export const command = (ctx: Context) =>
  changeCommand(ctx, 'unset')
    .summary('remove values from the config')
    .description(
      'Remove values from the config. A path that does not exist is not an error. Array items after a removed item move up.',
    )
    .argument(
      '<path...>',
      'where in the config, as in slackChannels[0]; every path refers to the config before the change',
    )
    .addHelpText(
      ...examples(
        'integrations config unset Acme/support slackEvents',
        "integrations config unset Acme/support 'slackChannels[0]' 'slackChannels[2]'",
      ),
    )
    .action(async (ref, paths, options) => {
      const changed = await changeConfig(await ctx.store(), { ...options, ref }, (config) =>
        withoutPaths(config, paths),
      )
      await answerConfigChange(ctx, changed, options)
    })
