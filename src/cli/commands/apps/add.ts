import { Command, Option } from '@commander-js/extra-typings'
import { addApp, checkApp, prepareApp } from '../../../operations/directory/apps.ts'
import { checkClientSecret } from '../../../operations/secrets/values.ts'
import { platforms } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples, forceShapeOption, warnAll } from '../../input/arguments.ts'
import { givenSecret, typedSecret, withSecretFlags } from '../../input/secret-input.ts'
import { outcomeOf } from '../../output/values.ts'
import { appView } from '../../views/directory.ts'

const refreshing = () => platforms.filter(({ api }) => 'refresh' in api)

/** `integrations apps add` */
export const command = (ctx: Context) => {
  const command = new Command('add')
    .description(
      'Add an OAuth app, whose client refreshes access tokens. At a terminal, prompts for missing values. No flag takes a secret itself.',
    )
    .argument('<name>', 'name of the app, unique')
    .addOption(
      new Option(
        '--platform <platform>',
        `one of: ${refreshing()
          .map(({ id }) => id)
          .join(', ')}`,
      ),
    )
    .addOption(new Option('--client-id <id>', 'client id, as the page of the app shows it'))
    .addOption(forceShapeOption())
    .addOption(dryRunOption())
  const described = withSecretFlags(command, ['clientSecret']).addHelpText(
    ...examples(
      'integrations apps add acme-bot --platform slack --client-id 1111.2222',
      'printf %s "$SECRET" | integrations apps add acme-bot --platform slack --client-id 1111.2222 --client-secret-stdin',
    ),
  )
  return declareChange(described, ctx.output, appView).action(async (name, { forceShape, dryRun, ...options }) => {
    const { prompts } = ctx
    const given = await givenSecret(ctx, 'clientSecret', options)
    prompts.require([
      ...(options.platform === undefined ? ['--platform <platform>'] : []),
      ...(options.clientId === undefined ? ['--client-id <id>'] : []),
      ...(given ? [] : ['--client-secret-stdin, -file or -env']),
    ])
    const store = await ctx.store()
    if (options.platform === undefined || options.clientId === undefined || !given) await prepareApp(store, { name })
    const choices = refreshing().map(({ id, title }) => ({ value: id, name: title }))
    const id = options.platform ?? (await prompts.choose('Platform', '--platform <platform>', choices))
    const checkId = (clientId: string) => checkApp({ platform: id, name, clientId })
    const clientId =
      options.clientId ?? (await prompts.text('Client id', '--client-id <id>', (text) => void checkId(text)))
    const platform = checkId(clientId)
    const check = (text: string) => void checkClientSecret(platform, { value: typedSecret(text), forceShape })
    const secret =
      given ?? typedSecret(await prompts.secret('Client secret', '--client-secret-stdin, -file or -env', check))
    const { app: added, warnings } = await addApp(
      store,
      { platform: id, name, clientId, secret, forceShape },
      { dryRun },
    )
    warnAll(ctx, warnings)
    await ctx.output.change(appView, added, {
      outcome: outcomeOf(true, dryRun),
      sentence: dryRun ? `would add the app ${name}` : `added the app ${name}, id ${added.id}`,
    })
  })
}
