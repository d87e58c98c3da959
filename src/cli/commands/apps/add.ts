import { Command, Option } from '@commander-js/extra-typings'
import { addApp, checkApp } from '../../../operations/directory/apps.ts'
import { checkClientSecret } from '../../../operations/secrets/values.ts'
import { platforms } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, forceShapeOption, warnAll } from '../../input/arguments.ts'
import { givenSecret, typedSecret, withSecretFlags } from '../../input/secret-input.ts'
import { outcomeOf } from '../../output/values.ts'
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
    .addOption(forceShapeOption())
    .addOption(dryRunOption())
  const described = withSecretFlags(command, ['clientSecret']).addHelpText(
    ...examples(
      'integrations apps add acme-bot --platform slack --client-id 1111.2222',
      'printf %s "$SECRET" | integrations apps add acme-bot --platform slack --client-id 1111.2222 --client-secret-stdin',
    ),
  )
  return declareChange(described, ctx.output, appView).action(
    async (name, { platform: id, clientId, forceShape, dryRun, ...options }) => {
      const app = { platform: id, name, clientId }
      const platform = checkApp(app)
      const check = (text: string) => void checkClientSecret(platform, { value: typedSecret(text), forceShape })
      const secret =
        (await givenSecret(ctx, 'clientSecret', options)) ??
        typedSecret(await ctx.prompts.secret('Client secret', '--client-secret-stdin, -file or -env', check))
      const { app: added, warnings } = await addApp(await ctx.store(), { ...app, secret, forceShape }, { dryRun })
      warnAll(ctx, warnings)
      await ctx.output.change(appView, added, {
        outcome: outcomeOf(true, dryRun),
        sentence: dryRun ? `would add the app ${name}` : `added the app ${name}, id ${added.id}`,
      })
    },
  )
}
