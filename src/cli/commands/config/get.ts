import { Command } from '@commander-js/extra-typings'
import { IntegrationsError } from '../../../errors.ts'
import type { JsonObject } from '../../../json.ts'
import { readConfig, storedConfig, valueAt } from '../../../operations/config/config.ts'
import type { Context } from '../../context.ts'
import { examples, refArgument } from '../../input/arguments.ts'
import { printableJson } from '../../output/text.ts'

/** `integrations config get` */
export const command = (ctx: Context) =>
  new Command('get')
    .summary('print the config')
    .description('Print the config, or one value of the config, as JSON with sorted keys; null when no config is set.')
    .addArgument(refArgument())
    .argument('[path]', 'where in the config, as in slackChannels[0].name; \\. for a dot in a key')
    .addHelpText(
      ...examples(
        'integrations config get Acme/support',
        "integrations config get Acme/support 'slackChannels[0].name'",
      ),
    )
    .action(async (ref, path) => {
      const { text } = await readConfig(await ctx.store(), ref)
      if (path !== undefined) return ctx.output.json(valueAt(await storedConfig(text), path))
      let config: JsonObject | null
      try {
        config = await storedConfig(text)
      } catch (error) {
        if (!(error instanceof IntegrationsError) || text === null) throw error
        ctx.output.warn(`${error.message}; the config is shown as stored, and only the application can change it`)
        return ctx.output.raw(`${ctx.host.stdout.isTTY ? printableJson(text) : text}\n`)
      }
      return ctx.output.json(config)
    })
