import { changeConfig, mergePatch } from '../../../operations/config/config.ts'
import { parseJson } from '../../../operations/config/json.ts'
import type { Context } from '../../context.ts'
import { examples } from '../../input/arguments.ts'
import { readDocument } from '../../input/secret-input.ts'
import { answerConfigChange } from '../../views/config.ts'
import { changeCommand } from '../change.ts'

/** `integrations config patch` */
export const command = (ctx: Context) =>
  changeCommand(ctx, 'patch')
    .summary('merge a document into the config')
    .description(
      'Merge a JSON document into the config (JSON Merge Patch, RFC 7396): objects merge, null removes, everything else replaces. A patch of null clears the config.',
    )
    .argument('[file]', 'the file with the patch; - or nothing for standard input')
    .addHelpText(
      ...examples(
        'integrations config patch Acme/support filters.json',
        `echo '{"slackEvents":null}' | integrations config patch Acme/support`,
      ),
    )
    .action(async (ref, file, options) => {
      const patch = await parseJson(await readDocument(ctx, file, 'the patch'), 'the patch')
      const changed = await changeConfig(await ctx.store(), { ...options, ref }, (config) => mergePatch(config, patch))
      await answerConfigChange(ctx, changed, options)
    })
