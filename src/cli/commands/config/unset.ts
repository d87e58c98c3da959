import { Command } from '@commander-js/extra-typings'
import { changeConfig, withoutPaths } from '../../../operations/config/config.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples, ifVersionOption, refArgument } from '../../input/arguments.ts'
import { answerConfigChange } from '../../views/config.ts'
import { integrationView } from '../../views/integration.ts'

/** `integrations config unset` */
export const command = (ctx: Context) =>
  declareOutput(new Command('unset'), ctx.output, integrationView)
    .summary('remove values from the config')
    .description(
      'Remove values from the config. A path that does not exist is not an error. Array items after a removed item move up.',
    )
    .addArgument(refArgument())
    .argument(
      '<path...>',
      'where in the config, as in slackChannels[0]; every path refers to the config before the change',
    )
    .addOption(ifVersionOption())
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations config unset Acme/support slackEvents',
        "integrations config unset Acme/support 'slackChannels[0]' 'slackChannels[2]'",
      ),
    )
    .action(async (ref, paths, options) => {
      const changed = await changeConfig(await ctx.store(), ref, options, (config) => withoutPaths(config, paths))
      await answerConfigChange(ctx, changed, options)
    })
