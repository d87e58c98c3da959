import { cancelled, IntegrationsError } from '../../../errors.ts'
import { type IntegrationView, refOf } from '../../../integration.ts'
import type { JsonObject } from '../../../json.ts'
import { versionConflict } from '../../../operations/change.ts'
import { readConfig, replaceConfig, storedConfig } from '../../../operations/config/config.ts'
import { checkConfig, parseConfig, schemaCommand } from '../../../operations/config/document.ts'
import { commandLine } from '../../../operations/texts.ts'
import { findPlatform } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { examples, warnAll } from '../../input/arguments.ts'
import { withEditor } from '../../input/editor.ts'
import { printable } from '../../output/text.ts'
import { answerConfigChange, configDiff, configText } from '../../views/config.ts'
import { changeCommand } from '../change.ts'

/** `integrations config edit` */
export const command = (ctx: Context) =>
  changeCommand(ctx, 'edit')
    .summary('edit the config in your editor')
    .description(
      'Edit the config in $VISUAL, $EDITOR or vi, below comments that explain its keys. Shows what would change, and asks for confirmation. A graphical editor needs its flag to wait, as in EDITOR="code --wait".',
    )
    .addHelpText(...examples('integrations config edit Acme/support'))
    .action(async (ref, { ifVersion, dryRun }) => {
      if (!ctx.prompts.possible())
        throw new IntegrationsError({
          code: 'INPUT_REQUIRED',
          message: 'an editor cannot be opened: prompts are off or there is no terminal',
          hint: `${commandLine('config patch', [ref])} <file>`,
        })
      const store = await ctx.store()
      const { integration, text } = await readConfig(store, ref)
      if (ifVersion !== undefined && integration.version !== ifVersion) throw versionConflict(integration, ifVersion)
      const config = (await storedConfig(text)) ?? {}
      const unchanged = { before: integration, after: integration, from: config }
      const shown = { text: configText(config), explanation: explanation(integration) }
      await withEditor(ctx, shown, async (edit) => {
        const { to, warnings } = await revise(ctx, { integration, from: config }, edit)
        if (configText(to) === configText(config))
          return answerConfigChange(ctx, { ...unchanged, to, warnings: [] }, { dryRun })
        if (!dryRun) await agree(ctx, integration, { from: config, to, warnings })
        const changed = await replaceConfig(store, { integration, config, to }, { dryRun })
        await answerConfigChange(ctx, changed, { dryRun, shown: !dryRun })
      })
    })

/** What the config may hold, as lines for people. */
function explanation(integration: IntegrationView): string[] {
  const platform = findPlatform(integration.platform)
  if (!platform) return []
  const keys = Object.entries(platform.config.properties).map(
    ([key, { type, enum: values, description }]) =>
      `${key}: ${Array.isArray(values) ? values.join(' or ') : type}. ${description}`,
  )
  return [
    `The config of ${printable(refOf(integration))} (${platform.title}). Lines that begin with // are left out.`,
    ...keys,
    `The whole schema: ${schemaCommand(platform)}`,
  ]
}

/** Opens the editor until what was saved is a config, or the person gives up. */
async function revise(
  ctx: Context,
  { integration, from }: { readonly integration: IntegrationView; readonly from: JsonObject },
  edit: () => Promise<string>,
): Promise<{ to: JsonObject; warnings: readonly string[] }> {
  const platform = findPlatform(integration.platform)
  for (;;) {
    const saved = await edit()
    // Also when the platform's schema has come to refuse what is stored.
    if (saved.trimStart() === configText(from)) return { to: from, warnings: [] }
    try {
      const to = await parseConfig(saved, 'your text')
      return { to, warnings: platform ? await checkConfig(platform, to) : [] }
    } catch (error) {
      if (!(error instanceof IntegrationsError)) throw error
      ctx.output.note(`error: ${error.message}`)
      ctx.output.note(`hint: ${error.hint}`)
      if (!(await ctx.prompts.confirm('Open the editor again?', '', true))) throw cancelled()
    }
  }
}

async function agree(
  ctx: Context,
  integration: IntegrationView,
  { from, to, warnings }: { from: JsonObject; to: JsonObject; warnings: readonly string[] },
): Promise<void> {
  await ctx.output.lines(await configDiff(from, to), 'stderr')
  warnAll(ctx, warnings)
  if (!(await ctx.prompts.confirm(`Change the config of ${refOf(integration)}?`, ''))) throw cancelled()
}
