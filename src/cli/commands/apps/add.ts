import { Command, Option } from '@commander-js/extra-typings'
import { addApp, checkApp } from '../../../operations/directory/apps.ts'
import { platforms } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { givenSecret, typedSecret, withSecretFlags } from '../../input/secret-input.ts'
import { appView } from '../../views/directory.ts'

const refreshing = () => platforms.filter(({ api }) => 'refresh' in api).map(({ id }) => id)

/** `integrations apps add` */
export const command = (ctx: Context) => {
  const command = new Command('add')
    .description(
      'Add an OAuth app. Prompts for its client secret at a terminal, or reads it through one of three flags.',
    )
    .argument('<name>', 'name of the app, unique')
    .addOption(new Option('--platform <platform>', `one of: ${refreshing().join(', ')}`).makeOptionMandatory())
    .addOption(new Option('--client-id <id>', 'client id, as the page of the app shows it').makeOptionMandatory())
    .addOption(dryRunOption())
  const described = withSecretFlags(command, ['clientSecret']).addHelpText(
    ...examples(
      'integrations apps add acme-bot --platform slack --client-id 1111.2222',
      'printf %s "$SECRET" | integrations apps add acme-bot --platform slack --client-id 1111.2222 --client-secret-stdin',
    ),
  )
  return declareOutput(described, ctx.output, appView).action(
    async (name, { platform, clientId, dryRun, ...options }) => {
      const app = { platform, name, clientId }
      checkApp(app)
      const secret =
        (await givenSecret(ctx, 'clientSecret', options)) ??
        typedSecret(await ctx.prompts.secret('Client secret', '--client-secret-stdin, -file or -env', typedSecret))
      const added = await addApp(await ctx.store(), { ...app, secret }, { dryRun })
      await ctx.output.change(appView, added, {
        sentence: dryRun ? `would add the app ${name}` : `added the app ${name}, id ${added.id}`,
      })
    },
  )
}
