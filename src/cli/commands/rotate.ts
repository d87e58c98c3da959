import { Command, Option } from '@commander-js/extra-typings'
import type { Instant } from '../../brands.ts'
import { badInput, shellWord } from '../../errors.ts'
import { entriesOf, flagOf, type IntegrationView, refOf, type SecretField, secretFields } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import { prepareRotation } from '../../operations/secrets/prepare-rotation.ts'
import { planRevocation, type RevokedToken, revokerOf } from '../../operations/secrets/revocation.ts'
import { type Rotated, type Rotation, rotateCheckedSecrets, rotateSecrets } from '../../operations/secrets/rotate.ts'
import { checkShape, type NewSecrets, secretDefinition } from '../../operations/secrets/values.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Context } from '../context.ts'
import {
  allowPrivateOption,
  apiUrlOption,
  apiUrls,
  checkOption,
  declareChange,
  dryRunOption,
  each,
  examples,
  forceShapeOption,
  ifVersionOption,
  refArgument,
  secretField,
  secretFlags,
  warnAll,
} from '../input/arguments.ts'
import { confirmOption } from '../input/consent.ts'
import { askExpiry, givenExpiry, noteExpiry, warnIfExpired, withExpiryOptions } from '../input/expiry.ts'
import { confirmRevocation, requireRevoke, revokeOption } from '../input/revocation.ts'
import { askSecrets, generated, givenSecrets, withSecretFlags } from '../input/secret-input.ts'
import { duration, instant } from '../input/time.ts'
import { outcomeOf } from '../output/values.ts'
import {
  agreedGraceMs,
  describePrevious,
  graceNextSteps,
  noteAgreedGrace,
  warnIfNoReceiver,
  whenRefused,
} from '../views/grace-period.ts'
import { revokingView, withRevocations } from '../views/revocation.ts'
import { revokeAfterChange } from './revocation.ts'

function rotateCommand() {
  const command = withExpiryOptions(
    new Command('rotate')
      .description(
        'Replace one secret, or several in one transaction. The previous secret stays valid for --grace in endpoints that use the receiver library: enter the new secret at the platform meanwhile. A second rotation within the grace period is refused, unless --end-previous expires the previous secret. A token is given out, and not matched: a previous token is kept here for --grace, for secrets revert, and the platform accepts it until its expiry or revocation. With --grace 0, --revoke has the platform revoke it, and all others that are kept, once the new token is stored.',
      )
      .addArgument(refArgument())
      .addOption(
        new Option('--field <secret>', 'a secret to prompt for or to generate; may be given several times')
          .choices(secretFlags)
          .argParser(each(secretField)),
      )
      .addOption(
        new Option('--generate', 'generate the value of --field, where the platform accepts one').default(false),
      )
      .addOption(
        new Option(
          '--grace <duration>',
          'how long the previous secret stays valid, 7d at most; 0 for a leak (default: 24h at a terminal, required elsewhere)',
        )
          .argParser(duration)
          .conflicts('until'),
      )
      .addOption(
        new Option(
          '--until <instant>',
          'until when the previous secret stays valid, as in 2027-01-31T12:00:00Z',
        ).argParser(instant),
      )
      .addOption(
        new Option('--shared', 'replace the secret in every integration known to hold the same value').default(false),
      ),
  )
    .addOption(
      new Option(
        '--end-previous',
        'expire a previous secret that is still valid, and with --grace 0 forget one that cannot be decrypted',
      ).default(false),
    )
    .addOption(revokeOption('the previous access tokens'))
    .addOption(confirmOption('name', 'the name of the integration, for --revoke'))
    .addOption(forceShapeOption())
    .addOption(ifVersionOption())
    .addOption(checkOption())
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
    .addOption(dryRunOption())
  return withSecretFlags(command, secretFields).addHelpText(
    ...examples(
      'integrations rotate Acme/support --field webhook-secret',
      'printf %s "$NEW" | integrations rotate Acme/support --webhook-secret-stdin --grace 24h',
      'integrations rotate Acme/support --access-token-env TOKEN --refresh-token-env REFRESH --expires-in 12h --grace 1h',
      'integrations rotate Acme/support --access-token-env TOKEN --no-expiry --grace 0 --revoke',
    ),
  )
}

/** `integrations rotate` */
export const command = (ctx: Context) =>
  declareChange(rotateCommand(), ctx.output, revokingView).action(async (ref, options) => {
    const { generate, forceShape, endPrevious, dryRun, shared, revoke } = options
    requireRevoke(options)
    if (revoke && options.grace !== 0)
      throw badInput('--revoke needs --grace 0: there is no way back to a revoked token', 'pass --grace 0 too')
    const urls = await apiUrls(ctx, {
      ...options,
      check: options.check || revoke,
      asks: options.check || (revoke && !dryRun),
      flags: '--check or --revoke',
    })
    const given = await givenSecrets(ctx, options)
    const named = options.field ?? []
    if (generate && named.length === 0)
      throw badInput('--generate needs --field', 'name the secret, as in --field webhook-secret --generate')
    const store = await ctx.store()
    const shown = await store.read((db) => findIntegration(db, ref, { damagedToo: true }))
    const replacing = { named, given, generate, revoke, grace: options.grace ?? options.until }
    const consent = revoke && !dryRun && options.confirm === undefined
    const fields = await fieldsToReplace(ctx, shown, { ...replacing, needsConsent: consent })
    const without = fields.filter((field) => !given[field])
    const asked = !generate && without.length > 0
    const replaced = fields.filter((field) => shown[field].set !== false)
    const agreed = replacing.grace === undefined && replaced.length > 0 && ctx.prompts.possible()
    const plan = {
      typed: ref,
      gracePeriod: agreed ? agreedGraceMs : replacing.grace,
      shared,
      forceShape,
      endPrevious,
      dryRun,
      // What a person was shown must still be so.
      ifVersion: options.ifVersion ?? (asked || consent ? shown.version : undefined),
      revoke: revoke ? urls : undefined,
    }
    if (asked)
      await prepareRotation(store, shown.id, { ...plan, fields, expiry: givenExpiry(options), check: options.check })
    if (revoke) await agreeToRevoke(ctx, shown, { ...options, fields, token: given.accessToken?.value })
    if (agreed) noteAgreedGrace(ctx, replaced)
    const platform = platformOf(shown)
    const made: NewSecrets = generate
      ? Object.assign({}, ...without.map(generated))
      : await askSecrets(
          ctx,
          without.map((field) => question(platform, field, forceShape)),
        )
    const secrets = { ...given, ...made }
    const rotation: Rotation = {
      ...plan,
      secrets,
      expiry: await askExpiry(ctx, options, secrets),
      expiresFromNow: options.expiresIn !== undefined,
      setBy: ctx.actor(),
    }
    const rotated = options.check
      ? await rotateCheckedSecrets(store, { id: shown.id }, { ...rotation, asking: { urls, wait: ctx.options.wait } })
      : await rotateSecrets(store, { id: shown.id }, rotation)
    const { told, revoked, error } = await revokeAfterChange(ctx, dryRun ? [] : rotated.tokens, urls)
    warnAll(ctx, rotated.warnings)
    const [{ before, after }] = rotated.changed
    if (after !== before) warnIfExpired(ctx, rotation.expiry)
    if (rotated.fields.includes('accessToken')) noteExpiry(ctx, after, before)
    await answer(ctx, rotated, { ref, given: fields, dryRun, shared, revoke, told, revoked })
    if (error) throw error
  })

/** Refuses to revoke secrets of which one cannot be revoked. @throws BAD_INPUT */
function requireRevocable(integration: IntegrationView, fields: readonly SecretField[]): void {
  // Beside its access token, the answer says what becomes of a refresh token.
  const [field = 'accessToken'] = fields.filter((one) => one !== 'refreshToken' || !fields.includes('accessToken'))
  revokerOf(integration, field)
}

/** Refuses what cannot be revoked, and has a person agree to what a revocation destroys. @throws BAD_INPUT, INPUT_REQUIRED, CANCELLED */
async function agreeToRevoke(
  ctx: Context,
  shown: IntegrationView,
  {
    fields,
    confirm,
    dryRun,
    shared,
    token,
  }: {
    fields: readonly SecretField[]
    confirm?: string | undefined
    dryRun: boolean
    shared: boolean
    token: Secret | undefined
  },
): Promise<void> {
  requireRevocable(shown, fields)
  const plan = await planRevocation(await ctx.store(), shown.id, { scope: 'all', token })
  await confirmRevocation(ctx, plan, { confirm, dryRun, shared })
}

/** What the answer to a rotation takes besides its outcome. */
interface Asked {
  readonly ref: string
  readonly given: readonly SecretField[]
  readonly dryRun: boolean
  readonly shared: boolean
  readonly revoke: boolean
  /** What came of the revocation. */
  readonly told: string
  readonly revoked: readonly RevokedToken[]
}

async function answer(
  ctx: Context,
  { changed: [first, ...others], fields }: Rotated,
  { ref, given, dryRun, shared, revoke, told, revoked }: Asked,
): Promise<void> {
  const { before, after } = first
  const open = fields.filter((field) => after[field].previousValidUntil !== null)
  if (!dryRun && fields.includes('webhookSecret')) await warnIfNoReceiver(ctx, after)
  const all = [after, ...others.map((other) => other.after)]
  const where = (fields.length > 0 ? all : all.slice(1)).map(refOf)
  const ends = fields.includes('webhookSecret') && after.webhookSecret.previousValidUntil === null
  const refused = ends ? await whenRefused(ctx) : undefined
  const fates = fields.map((field) => describePrevious(first, field, { dryRun, refused, revoke }))
  const sentence =
    where.length > 0
      ? `${dryRun ? 'would replace' : 'replaced'} the ${flags(fields.length > 0 ? fields : given)} of ${where.join(', ')}${fates.join('')}`
      : after.tokenExpiresAt !== before.tokenExpiresAt || after.tokenExpiry !== before.tokenExpiry
        ? `${dryRun ? 'would set' : 'set'} the expiry of the access-token of ${refOf(after)}, which is already stored, to ${after.tokenExpiresAt ?? 'never'}`
        : `${refOf(after)} already has this ${flags(given)}${after === before ? '; no changes made' : `, and no other is ${given.includes('webhookSecret') ? 'accepted' : 'kept here'} ${dryRun ? 'then' : 'from now on'}`}`
  const next = dryRun || open.length === 0 ? [] : graceNextSteps(ref, open)
  const outcome = outcomeOf(after !== before || others.length > 0, dryRun)
  const said = { outcome, sentence: `${sentence}${told}`, next }
  const answered = (integration: IntegrationView) => withRevocations(integration, revoked)
  if (!shared) return ctx.output.change(revokingView, answered(after), said)
  await ctx.output.changes(revokingView, all.map(answered), said)
}

const flags = (fields: readonly SecretField[]) => fields.map(flagOf).join(' and ')

/** The secrets to replace: those that were given or named; at a terminal, the one that a person chooses when there are none. */
async function fieldsToReplace(
  { prompts }: Context,
  integration: IntegrationView,
  {
    named,
    given,
    generate,
    grace,
    revoke,
    needsConsent,
  }: {
    named: readonly SecretField[]
    given: NewSecrets
    generate: boolean
    grace: number | Instant | undefined
    revoke: boolean
    needsConsent: boolean
  },
): Promise<readonly SecretField[]> {
  const platform = platformOf(integration)
  const fields = secretFields.filter((field) => given[field] || named.includes(field))
  for (const field of fields) secretDefinition(platform, field)
  if (revoke) requireRevocable(integration, fields)
  const without = generate ? [] : fields.filter((field) => !given[field])
  const missing =
    fields.length === 0
      ? ['--webhook-secret-stdin or another secret']
      : without.map((field) => `--${flagOf(field)}-stdin, -file or -env`)
  const replaced = (fields.length === 0 ? secretFields : fields).some((field) => integration[field].set !== false)
  if (missing.length > 0)
    prompts.require([
      ...missing,
      ...(grace === undefined && replaced ? ['--grace <duration>'] : []),
      ...(needsConsent ? [`--confirm ${shellWord(integration.name)}`] : []),
    ])
  if (fields.length > 0) return fields
  const choices = entriesOf(platform.secrets).map(([value, { label: name }]) => ({ value, name }))
  return [await prompts.choose('Which secret?', '--webhook-secret-stdin or another secret', choices)]
}

const question = (platform: Platform, field: SecretField, forceShape: boolean) => ({
  field,
  question: `New ${platform.title} ${secretDefinition(platform, field).label}`,
  required: true,
  check: (value: Secret) => void checkShape(platform, field, { value, forceShape }),
})
