import { Command } from '@commander-js/extra-typings'
import { changeConfig, readAssignment, withValues } from '../../../operations/config/config.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples, ifVersionOption, refArgument } from '../../input/arguments.ts'
import { answerConfigChange } from '../../views/config.ts'
import { integrationView } from '../../views/integration.ts'

/** `integrations config set` */
export const command = (ctx: Context) =>
  declareOutput(new Command('set'), ctx.output, integrationView)
    .summary('set values in the config')
    .description(
      'Set values in the config. Values are JSON: put text in double quotes, and keep the double quotes from the shell.',
    )
    .addArgument(refArgument())
    .argument(
      '<path=value...>',
      'where in the config, and the new value; \\. and \\= for a dot and an equals sign in a key',
    )
    .addOption(ifVersionOption())
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        `integrations config set Acme/support 'slackChannels[0].name="triage"'`,
        `integrations config set Acme/support 'slackEvents=["message", "app_mention"]'`,
      ),
    )
    .action(async (ref, texts, options) => {
      const assignments = await Promise.all(texts.map(readAssignment))
      const changed = await changeConfig(await ctx.store(), ref, options, (config) => withValues(config, assignments))
      await answerConfigChange(ctx, changed, options)
    })
