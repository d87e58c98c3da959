import { Command, Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import { entriesOf, flagOf, refOf, type SecretField, secretFields } from '../../integration.ts'
import type { JsonObject } from '../../json.ts'
import type { Changed } from '../../operations/change.ts'
import { parseConfig } from '../../operations/config/document.ts'
import { type Added, type Addition, addCheckedIntegration, addIntegration } from '../../operations/integrations/add.ts'
import { checkName } from '../../operations/names.ts'
import { checkShape } from '../../operations/secrets/values.ts'
import { commandLine, rotateCommand } from '../../operations/texts.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformById, platformIds, platforms, requiredFields } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import { allRows } from '../../store/all-rows.ts'
import type { Context } from '../context.ts'
import {
  allowPrivateOption,
  apiUrlOption,
  apiUrls,
  appOption,
  checkOption,
  createdByOption,
  declareChange,
  dryRunOption,
  examples,
  forceShapeOption,
  givenIds,
  ifMissingOption,
  warnAll,
  withIdFlags,
} from '../input/arguments.ts'
import {
  askExpiry,
  type ExpiryOptions,
  givenExpiry,
  noteExpiry,
  warnIfExpired,
  withExpiryOptions,
} from '../input/expiry.ts'
import {
  askSecrets,
  givenSecrets,
  readStdin,
  readTextFile,
  secretsOnStdin,
  withSecretFlags,
} from '../input/secret-input.ts'
import { duration } from '../input/time.ts'
import { outcomeOf } from '../output/values.ts'
import { differences } from '../views/changes.ts'
import {
  agreedGraceMs,
  describePrevious,
  noteAgreedGrace,
  warnIfNoReceiver,
  whenRefused,
} from '../views/grace-period.ts'
import { labelledView } from '../views/integration.ts'
import { givenLabels, withLabelOptions } from './labels.ts'

function addCommand() {
  const command = withExpiryOptions(
    new Command('add')
      .description('Add an integration. At a terminal, prompts for missing values. No flag takes a secret itself.')
      .addOption(new Option('--platform <platform>', `one of: ${platformIds.join(', ')}`))
      .addOption(new Option('--workspace <workspace>', 'id or name of the workspace').conflicts('newWorkspace'))
      .addOption(new Option('--new-workspace <name>', 'create a workspace with this name'))
      .addOption(new Option('--name <name>', 'name of the integration, unique for its workspace and platform')),
  )
    .addOption(new Option('--config <json>', 'channel and event filters: JSON, @file, or - for standard input'))
    .addOption(createdByOption())
    .addOption(appOption())
    .addOption(
      ifMissingOption('an integration', 'this workspace, platform and name').conflicts([
        'upsert',
        'grace',
        'endPrevious',
      ]),
    )
    .addOption(
      new Option(
        '--upsert',
        'update the integration of this workspace, platform and name, if there is one, with what is given; what is not given stays',
      ).default(false),
    )
    .addOption(
      new Option(
        '--grace <duration>',
        'with --upsert: how long a secret that is replaced stays valid, 7d at most; 0 for a leak (default: 24h at a terminal)',
      ).argParser(duration),
    )
    .addOption(
      new Option('--end-previous', 'expire a previous secret that is still valid, with --upsert').default(false),
    )
    .addOption(forceShapeOption())
    .addOption(checkOption())
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
    .addOption(dryRunOption())
  return withLabelOptions(withIdFlags(withSecretFlags(command, secretFields))).addHelpText(
    ...examples(
      'integrations add',
      `printf %s "$SECRET" | integrations add --platform slack --workspace Acme --name support \\
      --webhook-secret-stdin --access-token-env SLACK_TOKEN --no-expiry`,
    ),
  )
}

/** `integrations add` */
export const command = (ctx: Context) =>
  declareChange(addCommand(), ctx.output, labelledView).action(async (options) => {
    const { createdBy, app, forceShape, dryRun, ifMissing, upsert, grace, endPrevious } = options
    const needsUpsert = grace !== undefined ? '--grace' : endPrevious ? '--end-previous' : undefined
    if (needsUpsert && !upsert)
      throw badInput(
        `${needsUpsert} needs --upsert: a new integration has no previous secret`,
        `leave ${needsUpsert} out`,
      )
    const urls = await apiUrls(ctx, options)
    ctx.prompts.require([
      ...(options.platform === undefined ? ['--platform <platform>'] : []),
      ...(options.workspace === undefined && options.newWorkspace === undefined ? ['--workspace <workspace>'] : []),
      ...(options.name === undefined ? ['--name <name>'] : []),
    ])
    const secrets = await givenSecrets(ctx, options)
    const config = await readConfigFlag(ctx, options.config, secretsOnStdin(options).length)
    const platform = await choosePlatform(ctx, options.platform)
    const workspace = await chooseWorkspace(ctx, options)
    const name =
      options.name ?? (await ctx.prompts.text('Name of the integration', '--name <name>', named('integration')))
    const store = await ctx.store()
    const agreed = upsert && grace === undefined && ctx.prompts.possible()
    const given: Addition = {
      platform: platform.id,
      workspace,
      name,
      secrets,
      expiry: givenExpiry(options),
      ids: givenIds(options),
      config,
      createdBy,
      app,
      labels: givenLabels(options),
      setBy: ctx.actor(),
      ifExists: upsert ? 'update' : ifMissing ? 'keep' : undefined,
      gracePeriod: agreed ? agreedGraceMs : grace,
      endPrevious,
      expiresFromNow: options.expiresIn !== undefined,
      forceShape,
      dryRun,
    }
    const addition = await askMissing(ctx, given, { platform, options, agreed })
    const added = options.check
      ? await addCheckedIntegration(store, addition, { urls, wait: ctx.options.wait })
      : await addIntegration(store, addition)
    const { integration, outcome, before, fields = [] } = added
    warnAll(ctx, added.warnings)
    if (outcome !== 'unchanged') warnIfExpired(ctx, addition.expiry)
    if (!dryRun && fields.includes('webhookSecret')) await warnIfNoReceiver(ctx, integration)
    if (addition.secrets.accessToken && outcome !== 'unchanged') noteExpiry(ctx, integration)
    const ref = refOf(integration)
    await ctx.output.change(labelledView, integration, {
      outcome: outcomeOf(outcome !== 'unchanged', dryRun),
      sentence:
        outcome === 'updated' && before
          ? await updated(ctx, { before, after: integration, fields }, dryRun)
          : sentences[outcome](ref, integration.id, dryRun),
      next:
        dryRun || outcome !== 'added'
          ? []
          : [
              commandLine('show', [integration.id]),
              ...requiredFields(platform)
                .filter((field) => !integration[field].set)
                .map((field) => rotateCommand(integration.id, field)),
            ],
    })
  })

/** What was changed of an integration that was there, in words. */
async function updated(
  ctx: Context,
  { fields, ...changed }: Changed & { readonly fields: readonly SecretField[] },
  dryRun: boolean,
): Promise<string> {
  const ref = refOf(changed.after)
  const refused =
    fields.includes('webhookSecret') && changed.after.webhookSecret.previousValidUntil === null
      ? await whenRefused(ctx)
      : undefined
  const fates = fields.map((field) => describePrevious(changed, field, { dryRun, refused }))
  const names = fields.map(flagOf).join(' and ')
  const replaced = `${dryRun ? 'would replace' : 'replaced'} the ${names} of ${ref}${fates.join('')}`
  const others = differences(changed, dryRun, '')
  const parts = [...(others.endsWith('no changes made') ? [] : [others]), ...(fields.length > 0 ? [replaced] : [])]
  return parts.length > 0 ? parts.join('; ') : `${dryRun ? 'would change' : 'changed'} ${ref}`
}

const sentences: { readonly [O in Added['outcome']]: (ref: string, id: string, dryRun: boolean) => string } = {
  added: (ref, id, dryRun) => (dryRun ? `would add ${ref}` : `added ${ref}, id ${id}`),
  updated: (ref, id, dryRun) => (dryRun ? `would change ${ref}` : `changed ${ref}, id ${id}`),
  unchanged: (ref, id) => `${ref} exists already, id ${id}; no changes made`,
}

async function choosePlatform({ prompts }: Context, given: string | undefined): Promise<Platform> {
  const choices = platforms.map(({ id, title }) => ({ value: id, name: title }))
  return platformById(given ?? (await prompts.choose('Platform', '--platform <platform>', choices)))
}

async function chooseWorkspace(
  ctx: Context,
  { workspace, newWorkspace }: { workspace?: string | undefined; newWorkspace?: string | undefined },
): Promise<Addition['workspace']> {
  if (workspace !== undefined) return { kind: 'existing', ref: workspace }
  if (newWorkspace !== undefined) return { kind: 'new', name: newWorkspace }
  const store = ctx.prompts.possible() ? await ctx.store() : undefined
  const create = store?.adopted ? [] : [{ value: '', name: 'Create a new one' }]
  const ref = await ctx.prompts.search('Workspace', '--workspace <workspace>', async (typed) => {
    const found = await store?.read((db) =>
      allRows(db.workspaces.list({ nameContains: typed }, { sort: 'name', descending: false, limit: 1000 })),
    )
    const begins = ({ name }: { name: string }) => name.toLowerCase().startsWith(typed.toLowerCase())
    const [first = [], rest = []] = [found?.filter(begins), found?.filter((one) => !begins(one))]
    return [...[...first, ...rest].slice(0, 50).map(({ id, name }) => ({ value: id, name })), ...create]
  })
  if (ref !== '') return { kind: 'existing', ref }
  const name = await ctx.prompts.text('Name of the new workspace', '--new-workspace <name>', named('workspace'))
  return { kind: 'new', name }
}

const named = (what: 'integration' | 'workspace') => (answer: string) => void checkName(what, answer)

/**
 * Asks for what flags have not given, once nothing else would be refused: the secrets of a new integration, and when its
 * access token expires.
 */
async function askMissing(
  ctx: Context,
  given: Addition,
  { platform, options, agreed }: { platform: Platform; options: ExpiryOptions; agreed: boolean },
): Promise<Addition> {
  const questions = missingSecrets(platform, given)
  const asks = questions.length > 0 || given.expiry === 'unknown'
  if (!ctx.prompts.possible() || !(asks || agreed)) return given
  // The token of an expiry that was given may be an answer.
  const expiry = given.secrets.accessToken ? given.expiry : 'unknown'
  const planned = await addIntegration(await ctx.store(), { ...given, expiry, dryRun: true })
  const { outcome, before, fields = [] } = planned
  if (outcome === 'unchanged') return given
  if (agreed && before)
    noteAgreedGrace(
      ctx,
      fields.filter((field) => before[field].set !== false),
    )
  const secrets = outcome === 'added' ? { ...given.secrets, ...(await askSecrets(ctx, questions)) } : given.secrets
  return { ...given, secrets, expiry: await askExpiry(ctx, options, secrets) }
}

const missingSecrets = (platform: Platform, { secrets, expiry, forceShape }: Addition) =>
  entriesOf(platform.secrets)
    .filter(([field]) => !(field in secrets))
    .map(([field, { label }]) => {
      // An expiry that was given is that of a token.
      const required = field === 'accessToken' && expiry !== 'unknown'
      return {
        field,
        question: `${platform.title} ${label} (${required ? 'whose expiry is given' : 'leave empty to set it later'})`,
        required,
        check: (value: Secret) => void checkShape(platform, field, { value, forceShape }),
      }
    })

async function readConfigFlag(ctx: Context, given: string | undefined, onStdin: number): Promise<JsonObject | null> {
  if (given === undefined) return null
  if (given === '-') {
    if (onStdin > 0)
      throw badInput('standard input cannot hold both a secret and the config', 'give the config as @file')
    return parseConfig(await readStdin(ctx.host), 'the config on standard input')
  }
  if (given.startsWith('@')) return parseConfig(await readTextFile(given.slice(1), '--config'), 'the file of --config')
  return parseConfig(given, '--config')
}
