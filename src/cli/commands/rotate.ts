import { Command, Option } from '@commander-js/extra-typings'
import { badInput, cancelled, IntegrationsError } from '../../errors.ts'
import { type Integration, type SecretField, secretFields } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import { rotateSecrets } from '../../operations/rotate.ts'
import { checkShape, flagOf, type NewSecrets, secretDefinition } from '../../operations/secret-values.ts'
import type { Platform } from '../../platforms/platform.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import {
  answers,
  dryRunOption,
  examples,
  expiry,
  expiryOptions,
  forceOption,
  ifVersionOption,
  refArgument,
  warnAll,
} from '../arguments.ts'
import type { Context } from '../context.ts'
import { addSecretFlags, askSecrets, generated, givenSecrets } from '../secret-input.ts'
import { duration } from '../time.ts'
import { integrationView } from '../views.ts'

const fieldOf = new Map<string, SecretField>(secretFields.map((field) => [flagOf(field), field]))

/** `integrations rotate` */
export const rotateCommand = (ctx: Context) => {
  const [expiresAt, expiresIn, noExpiry] = expiryOptions()
  const command = new Command('rotate')
    .description(
      'Replace one secret, or several together, in one transaction. The old value stops being accepted at once.',
    )
    .addArgument(refArgument())
    .addOption(
      new Option('--field <secret...>', 'the secrets to be asked for or generated').choices([...fieldOf.keys()]),
    )
    .addOption(new Option('--generate', 'make the value of --field here, where the platform takes one').default(false))
    .addOption(
      new Option(
        '--grace <duration>',
        'how long the old value stays valid: 0; must be given where nobody can be asked',
      ).argParser(duration),
    )
    .addOption(expiresAt)
    .addOption(expiresIn)
    .addOption(noExpiry)
    .addOption(forceOption())
    .addOption(ifVersionOption())
    .addOption(dryRunOption())
  addSecretFlags(command)
  command.addHelpText(
    'after',
    examples(
      'integrations rotate Acme/support --field webhook-secret',
      'printf %s "$NEW" | integrations rotate Acme/support --webhook-secret-stdin --grace 0',
      'integrations rotate Acme/support --access-token-env TOKEN --refresh-token-env REFRESH --expires-in 12h --grace 0',
    ),
  )
  return answers(command, ctx.output, integrationView).action(async (ref, options) => {
    const { grace, generate, force, dryRun } = options
    if (grace !== undefined && grace !== 0)
      throw badInput(
        'this version cannot keep the old value valid',
        'pass --grace 0, and change the secret at the platform at the same time',
      )
    const given = await givenSecrets(ctx, options)
    const fields = (options.field ?? []).flatMap((flag) => fieldOf.get(flag) ?? [])
    if (generate && fields.length === 0)
      throw badInput('--generate does not say what', 'name the secret, as in --field webhook-secret --generate')
    const store = await ctx.store()
    const shown = await store.read((rows) => findIntegration(rows, ref))
    const secrets = { ...given, ...(await missing(ctx, shown, fields, given, { generate, force })) }
    await agree(ctx, shown, Object.keys(secrets), grace)
    const asked = grace === undefined || (!generate && Object.keys(secrets).length > Object.keys(given).length)
    const { after, warnings } = await rotateSecrets(store, shown.id, {
      secrets,
      expiry: expiry(options),
      setBy: ctx.actor(),
      force,
      dryRun,
      // What a person was shown must still be so.
      ...(options.ifVersion === undefined
        ? asked
          ? { ifVersion: shown.version }
          : {}
        : { ifVersion: options.ifVersion }),
    })
    warnAll(ctx, warnings)
    const what = Object.keys(secrets).map(flagOf).join(' and ')
    const name = `${after.workspace}/${after.name}`
    await ctx.output.change(
      integrationView,
      after,
      dryRun
        ? `would replace the ${what} of ${name}`
        : `replaced the ${what} of ${name}; the old value is not accepted any more`,
    )
  })
}

/** The secrets that were named without a value, and at a terminal, those nobody named. */
async function missing(
  ctx: Context,
  integration: Integration,
  named: readonly SecretField[],
  given: NewSecrets,
  { generate, force }: { generate: boolean; force: boolean },
): Promise<NewSecrets> {
  const platform = findPlatform(integration.platform)
  if (!platform)
    throw badInput(
      `this version does not know the platform ${JSON.stringify(integration.platform)}`,
      'upgrade integrations',
    )
  const wanted = named.filter((field) => !given[field])
  for (const field of [...wanted, ...(Object.keys(given) as SecretField[])]) secretDefinition(platform, field)
  if (generate) {
    for (const field of wanted) refuseGenerating(platform, field)
    return Object.assign({}, ...wanted.map(generated))
  }
  if (wanted.length > 0)
    return askSecrets(
      ctx,
      wanted.map((field) => question(platform, field, force)),
    )
  if (Object.keys(given).length > 0) return {}
  const choices = Object.entries(platform.secrets).map(([field, { label }]) => ({ value: field, name: label }))
  const field = (await ctx.prompts.choose(
    'Which secret?',
    '--webhook-secret-stdin or another secret',
    choices,
  )) as SecretField
  return askSecrets(ctx, [question(platform, field, force)])
}

const question = (platform: Platform, field: SecretField, force: boolean) => ({
  field,
  question: `New ${platform.title} ${secretDefinition(platform, field).label}`,
  required: true,
  check: (value: Secret) => void checkShape(platform, field, value, force),
})

function refuseGenerating(platform: Platform, field: SecretField): void {
  const { issuer, label, page } = secretDefinition(platform, field)
  if (issuer === 'platform')
    throw badInput(
      `only ${platform.title} can make a new ${label}`,
      `make it at ${page}, and pass it with --${flagOf(field)}-stdin`,
    )
}

async function agree(
  { prompts }: Context,
  integration: Integration,
  fields: readonly string[],
  grace: number | undefined,
): Promise<void> {
  if (grace !== undefined) return
  const what = fields.map(flagOf).join(' and ')
  if (!prompts.possible())
    throw new IntegrationsError(
      'INPUT_REQUIRED',
      '--grace is missing: how long does the old value stay valid?',
      'pass --grace 0 to end it at once',
    )
  if (
    !(await prompts.confirm(
      `The old ${what} of ${integration.workspace}/${integration.name} stops being accepted at once. Go on?`,
      '--grace 0',
    ))
  )
    throw cancelled()
}
