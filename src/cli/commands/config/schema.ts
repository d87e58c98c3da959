import { Command } from '@commander-js/extra-typings'
import type { Json } from '../../../json.ts'
import { platformById, platformIds } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'

/** `integrations config schema` */
export const command = (ctx: Context) =>
  new Command('schema')
    .summary("print a platform's JSON Schema")
    .description('Print the JSON Schema of the configs of a platform.')
    .argument('<platform>', `one of: ${platformIds.join(', ')}`)
    .addHelpText(...examples('integrations config schema slack > slack-config.schema.json'))
    .action(async (id) => {
      const { title, config } = platformById(id)
      await ctx.output.json({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title: `${title} config`,
        ...config,
      } as Json)
    })
