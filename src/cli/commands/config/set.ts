import { changeConfig, readAssignment, withValues } from '../../../operations/config/config.ts'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'
import { answerConfigChange } from '../../views/config.ts'
import { changeCommand } from '../change.ts'

/** `integrations config set` */
export const command = (ctx: Context) =>
  changeCommand(ctx, 'set')
    .summary('set values in the config')
    .description(
      'Set values in the config. Values are JSON: put text in double quotes, and keep the double quotes from the shell.',
    )
    .argument(
      '<path=value...>',
      'where in the config, and the new value; += adds to an array what is not in it; \\. and \\= for a dot and an equals sign in a key',
    )
    .addHelpText(
      ...examples(
        `integrations config set Acme/support 'slackChannels[0].name="triage"'`,
        `integrations config set Acme/support 'slackEvents=["message", "app_mention"]'`,
        `integrations config set Acme/support 'slackEvents+="team_join"'`,
      ),
    )
    .action(async (ref, texts, options) => {
      const assignments = await Promise.all(texts.map(readAssignment))
      const changed = await changeConfig(await ctx.store(), { ...options, ref }, (config) =>
        withValues(config, assignments),
      )
      await answerConfigChange(ctx, changed, options)
    })
