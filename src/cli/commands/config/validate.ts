import { Command, Option } from '@commander-js/extra-typings'
import { badInput, checkFailed } from '../../../errors.ts'
import { refOf } from '../../../integration.ts'
import { readConfig } from '../../../operations/config/config.ts'
import { inspectText, schemaCommand } from '../../../operations/config/document.ts'
import type { Platform } from '../../../platforms/platform.ts'
import { platformById } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, refArgument } from '../../input/arguments.ts'
import { readDocument } from '../../input/secret-input.ts'
import { plural } from '../../output/text.ts'
import { findingView } from '../../views/config.ts'

/** `integrations config validate` */
export const command = (ctx: Context) =>
  declareOutput(new Command('validate'), ctx.output, findingView)
    .summary('check a config')
    .description(
      'Check a config against the JSON Schema of its platform: a stored config, or a file before it is used. Exits with 8 when the config breaks the schema; warnings do not.',
    )
    .addArgument(refArgument().argOptional())
    .addOption(new Option('--platform <platform>', 'with --file: the platform to check it for'))
    .addOption(new Option('--file <path>', 'the file to check; - for standard input'))
    .addHelpText(
      ...examples(
        'integrations config validate Acme/support',
        'integrations config validate --platform slack --file filters.json',
      ),
    )
    .action(async (ref, options) => {
      const { platform, text, name } = await subject(ctx, ref, options)
      const findings = text === null ? [] : await inspectText(platform, text)
      await ctx.output.rows(findingView, (emit) => emit(findings))
      const errors = findings.filter(({ severity }) => severity === 'error').length
      if (errors > 0)
        throw checkFailed(
          `${name} does not fit ${platform.title}: ${plural(errors, 'problem')}`,
          schemaCommand(platform),
        )
      ctx.output.note(`${name} fits ${platform.title}`)
    })

/** What is to be checked, and for which platform. */
async function subject(
  ctx: Context,
  ref: string | undefined,
  { platform, file }: { platform?: string | undefined; file?: string | undefined },
): Promise<{ platform: Platform; text: string | null; name: string }> {
  if (ref === undefined && platform !== undefined && file !== undefined)
    return {
      platform: platformById(platform),
      text: await readDocument(ctx, file, '--file'),
      name: file === '-' ? 'standard input' : file,
    }
  if (ref === undefined || platform !== undefined || file !== undefined)
    throw badInput('give either an integration, or --platform and --file', 'integrations config validate --help')
  const { integration, text } = await readConfig(await ctx.store(), ref)
  return { platform: platformById(integration.platform), text, name: `the config of ${refOf(integration)}` }
}
