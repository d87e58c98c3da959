import { Command, Option } from '@commander-js/extra-typings'
import { addApp, checkApp, findApp, removeApp } from '../../operations/directory/apps.ts'
import { readSecret } from '../../operations/secrets/values.ts'
import { findPlatform, platforms } from '../../platforms/platforms.ts'
import type { Context } from '../context.ts'
import { declareOutput, dryRunOption, examples } from '../input/arguments.ts'
import { confirmOption, confirmRemoval } from '../input/consent.ts'
import { addSecretFlags, givenSecret } from '../input/secret-input.ts'
import { appView } from '../views/integration.ts'

/** `integrations apps` */
export const appsCommand = (ctx: Context) =>
  new Command('apps')
    .description(
      'OAuth apps: the client id and secret with which a platform lets tokens be refreshed. The secret is sealed, and never shown. An integration names its app with update --app; where a platform has a single app here, that one serves.',
    )
    .addCommand(addCommand(ctx))
    .addCommand(listCommand(ctx))
    .addCommand(removeCommand(ctx))

const refreshing = () => platforms.filter(({ api }) => 'refresh' in api).map(({ id }) => id)

const addCommand = (ctx: Context) => {
  const command = new Command('add')
    .description('Add an OAuth app. Its secret is asked for at a terminal, or comes by one of three flags.')
    .argument('<name>', 'name of the app, unique')
    .addOption(new Option('--platform <platform>', `one of: ${refreshing().join(', ')}`).makeOptionMandatory())
    .addOption(new Option('--client-id <id>', 'client id, as the page of the app shows it').makeOptionMandatory())
    .addOption(dryRunOption())
  addSecretFlags(command, ['clientSecret'])
  command.addHelpText(
    'after',
    examples(
      'integrations apps add acme-bot --platform slack --client-id 1111.2222',
      'printf %s "$SECRET" | integrations apps add acme-bot --platform slack --client-id 1111.2222 --client-secret-stdin',
    ),
  )
  return declareOutput(command, ctx.output, appView).action(
    async (name, { platform, clientId, dryRun, ...options }) => {
      const app = { platform, name, clientId }
      checkApp(app)
      const secret =
        (await givenSecret(ctx, options, 'clientSecret')) ??
        readSecret(
          await ctx.prompts.secret(
            'Client secret',
            '--client-secret-stdin, -file or -env',
            (text) => void readSecret(text, 'the answer'),
          ),
          'the answer',
        )
      const added = await addApp(await ctx.store(), { ...app, secret }, { dryRun })
      await ctx.output.change(
        appView,
        added,
        dryRun ? `would add the app ${name}` : `added the app ${name}, id ${added.id}`,
      )
    },
  )
}

const listCommand = (ctx: Context) =>
  declareOutput(
    new Command('list')
      .description('List OAuth apps, without their secrets.')
      .addHelpText('after', examples('integrations apps list', 'integrations apps list -o json')),
    ctx.output,
    appView,
  ).action(async () => {
    const store = await ctx.store()
    const apps = await store.read((db) => db.apps.list())
    await ctx.output.rows(appView, (emit) => emit(apps))
    if (apps.length === 0 && ctx.output.table()) ctx.output.note('nothing to show')
  })

const removeCommand = (ctx: Context) =>
  declareOutput(
    new Command('remove')
      .description('Remove an OAuth app and its secret. It is refused while an integration names the app.')
      .argument('<name>', 'name or id of the app')
      .addOption(confirmOption())
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations apps remove acme-bot --confirm acme-bot')),
    ctx.output,
    appView,
  ).action(async (ref, { confirm, dryRun }) => {
    const store = await ctx.store()
    const shown = await store.read((db) => findApp(db, ref))
    if (!dryRun && shown.integrations === 0)
      await confirmRemoval(
        ctx,
        shown.name,
        confirm,
        `This removes the app ${shown.name}: no token of it can be refreshed then.`,
      )
    const removed = await removeApp(store, shown.id, { dryRun })
    await ctx.output.change(appView, removed, `${dryRun ? 'would remove' : 'removed'} the app ${removed.name}`)
    const { platform } = removed
    const left = await store.read((db) => db.apps.list({ platform }))
    if (left.every(({ id }) => id === removed.id))
      ctx.output.warn(
        `without an app of ${findPlatform(platform)?.title ?? platform}, none of its tokens can be refreshed`,
      )
  })
