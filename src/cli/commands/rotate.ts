import { Command, Option } from '@commander-js/extra-typings'
import { badInput, IntegrationsError, shellWord } from '../../errors.ts'
import { type Instant, type Integration, type SecretField, secretFields } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import { platformOf, rotateSecrets } from '../../operations/rotate.ts'
import { checkShape, flagOf, type NewSecrets, secretDefinition } from '../../operations/secret-values.ts'
import { acceptedUntil } from '../../operations/secrets.ts'
import type { Platform } from '../../platforms/platform.ts'
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
import { duration, instant } from '../time.ts'
import { integrationView } from '../views.ts'

const fieldOf = new Map<string, SecretField>(secretFields.map((field) => [flagOf(field), field]))

/** `integrations rotate` */
export const rotateCommand = (ctx: Context) => {
  const [expiresAt, expiresIn, noExpiry] = expiryOptions()
  const command = new Command('rotate')
    .description(
      `Replace one secret, or several together, in one transaction. The old value stays valid for --grace, in endpoints that use the receiver library: put the new one in at the platform meanwhile. A second rotation in that time is refused, unless --force ends the older value.`,
    )
    .addArgument(refArgument())
    .addOption(
      new Option('--field <secret...>', 'the secrets to be asked for or generated').choices([...fieldOf.keys()]),
    )
    .addOption(new Option('--generate', 'make the value of --field here, where the platform takes one').default(false))
    .addOption(
      new Option(
        '--grace <duration>',
        'how long the old value stays valid, 7d at most; 0 for a leak (default: 24h at a terminal; must be given elsewhere)',
      )
        .argParser(duration)
        .conflicts('until'),
    )
    .addOption(new Option('--until <instant>', 'until when it does, as in 2027-01-31T12:00:00Z').argParser(instant))
    .addOption(
      new Option('--shared', 'replace it in every integration that is known to hold the same value').default(false),
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
      'printf %s "$NEW" | integrations rotate Acme/support --webhook-secret-stdin --grace 24h',
      'integrations rotate Acme/support --access-token-env TOKEN --refresh-token-env REFRESH --expires-in 12h --grace 1h',
    ),
  )
  return answers(command, ctx.output, integrationView).action(async (ref, options) => {
    const { generate, force, dryRun, shared } = options
    const given = await givenSecrets(ctx, options)
    const fields = (options.field ?? []).flatMap((flag) => fieldOf.get(flag) ?? [])
    if (generate && fields.length === 0)
      throw badInput('--generate does not say what', 'name the secret, as in --field webhook-secret --generate')
    const store = await ctx.store()
    const shown = await store.read((rows) => findIntegration(rows, ref))
    const secrets = { ...given, ...(await missing(ctx, shown, fields, given, { generate, force })) }
    const overlap = options.grace ?? options.until ?? agreedOverlap(ctx, Object.keys(secrets))
    const asked = !generate && Object.keys(secrets).length > Object.keys(given).length
    const rotated = await rotateSecrets(store, shown.id, {
      secrets,
      expiry: expiry(options),
      setBy: ctx.actor(),
      overlap,
      shared,
      force,
      dryRun,
      // What a person was shown must still be so.
      ...(options.ifVersion === undefined
        ? asked
          ? { ifVersion: shown.version }
          : {}
        : { ifVersion: options.ifVersion }),
    })
    warnAll(ctx, rotated.warnings)
    const [{ after }, ...others] = rotated.changed
    const fieldsChanged = Object.keys(secrets) as SecretField[]
    const until = acceptedUntil(after, fieldsChanged)
    if (until !== null && rotated.receiverSeenAt === null)
      ctx.output.warn(
        'no endpoint that uses the receiver library has reported in: whatever else reads this secret accepts the new value alone',
      )
    await ctx.output.change(
      integrationView,
      after,
      sentence(after, others.length, fieldsChanged, until, dryRun),
      dryRun || until === null ? [] : followUps(after, fieldsChanged),
    )
  })
}

function sentence(
  integration: Integration,
  others: number,
  fields: readonly SecretField[],
  until: Instant | null,
  dryRun: boolean,
): string {
  const what = fields.map(flagOf).join(' and ')
  const where = `${integration.workspace}/${integration.name}${others === 0 ? '' : ` and ${others} more that shared it`}`
  const old = until === null ? 'the old value is not accepted any more' : `the old value stays valid until ${until}`
  return dryRun ? `would replace the ${what} of ${where}` : `replaced the ${what} of ${where}; ${old}`
}

const followUps = ({ id }: Integration, fields: readonly SecretField[]): string[] => [
  `integrations secrets list ${shellWord(id)}   # which value requests still match`,
  ...fields.flatMap((field) => [
    `integrations secrets finish ${shellWord(id)} ${flagOf(field)}   # end the old value before its time`,
    `integrations secrets revert ${shellWord(id)} ${flagOf(field)}   # take the rotation back`,
  ]),
]

/** The secrets that were named without a value, and at a terminal, those nobody named. */
async function missing(
  ctx: Context,
  integration: Integration,
  named: readonly SecretField[],
  given: NewSecrets,
  { generate, force }: { generate: boolean; force: boolean },
): Promise<NewSecrets> {
  const platform = platformOf(integration)
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

/** A day, where a person can see that; a script has to say how long. */
function agreedOverlap({ prompts, output }: Context, fields: readonly string[]): number {
  if (!prompts.possible())
    throw new IntegrationsError(
      'INPUT_REQUIRED',
      '--grace is missing: how long does the old value stay valid?',
      'pass --grace 24h, or --grace 0 to end it at once',
    )
  output.note(`the old ${fields.map(flagOf).join(' and ')} stays valid for 24 hours; --grace says otherwise`)
  return 86_400_000
}
