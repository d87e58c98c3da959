import { badInput, IntegrationsError, isDecryptionFailure, shellWord } from '../../errors.ts'
import {
  flagOf,
  type Instant,
  type IntegrationView,
  type SecretField,
  secretColumns,
  secretFields,
} from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { CurrentSecret, UnreadableSecret } from '../../store/secrets/current.ts'
import type { Expiry } from '../../store/secrets/versions.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { FingerprintChange } from '../../store/tables/fingerprints.ts'
import { type Changed, type ChangeOptions, changeWithin, type Decision, targetOf } from '../change.ts'
import { type Asking, checkNewToken, nothingToCheck } from '../check/token.ts'
import { findIntegration } from '../find.ts'
import { checkShape, type NewSecret, type NewSecrets, secretDefinition } from './values.ts'

/** New secrets for an integration. */
export interface Rotation extends ChangeOptions {
  readonly secrets: NewSecrets
  readonly expiry: Expiry
  readonly setBy: string
  /**
   * How long the old values stay valid: for so many milliseconds, or until an instant. Undefined: nobody said, which is
   * enough where there is no old value.
   */
  readonly gracePeriod: number | Instant | undefined
  /** Every integration that holds the same value takes the new one. */
  readonly shared: boolean
  /** Accept values of another shape than documented, and end a window that is still open. */
  readonly force: boolean
}

/** What a rotation did: the integration asked for goes first, then those that shared its secret. */
export interface Rotated {
  readonly changed: readonly [Changed, ...Changed[]]
  readonly warnings: readonly string[]
}

/** How long an old value may stay valid at most, in milliseconds. */
export const maxGracePeriodMs = 7 * 86_400_000

/**
 * Replaces one secret, or several together, in one transaction. The old values stay valid for the overlap.
 *
 * @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, CONFLICT when the application wrote a column meanwhile, GRACE_PERIOD_ACTIVE when the
 *   value before the old one is still valid
 */
export async function rotateSecrets(store: Store, ref: string, rotation: Rotation): Promise<Rotated> {
  if (rotation.expiry !== 'unknown' && !rotation.secrets.accessToken)
    throw badInput('an expiry needs an access token', 'pass the access token too, as in --access-token-stdin')
  return store.mutate(
    async (tx) => {
      const { id } = await findIntegration(tx, ref)
      const until = gracePeriodEnd(rotation.gracePeriod, tx.now)
      const rotateOne = (one: string, fields: readonly SecretField[], ifVersion?: number, shared?: Held) =>
        changeWithin(tx, one, ifVersion, (integration) =>
          rotateWithin(tx, integration, fields, rotation, until, shared),
        )
      const first = await rotateOne(id, given(rotation.secrets), rotation.ifVersion)
      const others: (typeof first)[] = []
      for (const [sharer, fields] of rotation.shared ? await sharersOf(tx, first.replaced) : []) {
        const other = await rotateOne(sharer, fields, undefined, first.replaced)
        if (Object.keys(other.replaced).length > 0) others.push(other)
      }
      const warnings = new Set([first, ...others].flatMap((one) => one.warnings))
      return { changed: [withoutValues(first), ...others.map(withoutValues)] as const, warnings: [...warnings] }
    },
    { dryRun: rotation.dryRun ?? false },
  )
}

/**
 * Replaces secrets, once the platform knows the new access token as one of the integration's own tenant.
 *
 * @throws what `rotateSecrets` throws, before the platform is asked; CREDENTIAL_REFUSED, PLATFORM_FAILED, CHECK_FAILED;
 *   CONFLICT when the integration changed while the platform was asked
 */
export async function rotateCheckedSecrets(
  store: Store,
  ref: string,
  rotation: Rotation,
  asking: Asking,
): Promise<Rotated> {
  const { accessToken } = rotation.secrets
  if (!accessToken) throw nothingToCheck()
  const [{ before }] = (await rotateSecrets(store, ref, { ...rotation, dryRun: true })).changed
  const { expiry, warnings } = await checkNewToken(
    store,
    targetOf(before),
    { platform: platformOf(before), integration: before, token: accessToken.value, expiry: rotation.expiry },
    asking,
  )
  const rotated = await rotateSecrets(store, before.id, { ...rotation, expiry, ifVersion: before.version })
  return { ...rotated, warnings: [...rotated.warnings, ...warnings] }
}

/** Values by field, as they were before a rotation. */
type Held = { readonly [F in SecretField]?: CurrentSecret | undefined }

const withoutValues = ({ before, after }: Changed): Changed => ({ before, after })

const given = (secrets: NewSecrets) => secretFields.filter((field) => secrets[field])

function gracePeriodEnd(overlap: number | Instant | undefined, now: Date): Date {
  if (overlap === undefined) return now
  const until = typeof overlap === 'number' ? new Date(now.getTime() + overlap) : new Date(overlap)
  if (until < now) throw badInput('--until is in the past', 'pass --grace 0 to end the old value at once')
  if (until.getTime() - now.getTime() > maxGracePeriodMs)
    throw badInput(
      'an old value stays valid for 7 days at most',
      typeof overlap === 'number'
        ? 'pass a shorter --grace, as in --grace 24h'
        : 'pass an earlier --until, or --grace 24h',
    )
  return until
}

/** The integrations that seem to hold a value which was just replaced, with the fields in which they do. */
async function sharersOf(tx: Transaction, replaced: Held): Promise<Map<string, SecretField[]>> {
  const sharers = new Map<string, SecretField[]>()
  for (const field of secretFields) {
    const old = replaced[field]
    for (const id of old ? await tx.secrets.sharing(field, old.fingerprint, old.value) : [])
      sharers.set(id, [...(sharers.get(id) ?? []), field])
  }
  return sharers
}

/** Replaces secrets of one integration; where `shared` is given, only those that still have its values. */
async function rotateWithin(
  tx: Transaction,
  integration: IntegrationView,
  fields: readonly SecretField[],
  rotation: Rotation,
  until: Date,
  shared: Held | undefined,
): Promise<Decision<{ replaced: Held; warnings: readonly string[] }>> {
  const platform = platformOf(integration)
  const warnings: string[] = []
  const fingerprints: FingerprintChange[] = []
  const held = await readOld(tx, integration, fields, rotation.force && until <= tx.now)
  const due = shared ? fields.filter((field) => held[field]?.fingerprint === shared[field]?.fingerprint) : fields
  // The application has written another value since: no other integration shares that one.
  if (due.length === 0) return { facts: undefined, result: { replaced: {}, warnings } }
  for (const field of due) {
    const { value, origin } = rotation.secrets[field] as NewSecret
    const { label } = secretDefinition(platform, field)
    const old = held[field] ?? null
    warnings.push(...generating(platform, field, origin))
    warnings.push(...checkShape(platform, field, value, rotation.force))
    if (old && rotation.gracePeriod === undefined)
      throw new IntegrationsError({
        code: 'INPUT_REQUIRED',
        message: '--grace is missing: how long does the old value stay valid?',
        hint: 'pass --grace 24h, or --grace 0 to end it at once',
      })
    if (old && 'value' in old && old.value.reveal() === value.reveal())
      throw badInput(
        `the new ${label} is the one already stored`,
        'give the new value, or leave the integration as it is',
      )
    warnings.push(...(await endOlder(tx, integration, field, label, rotation.force, fingerprints)))
    const print = await tx.secrets.replace(integration.id, {
      field,
      old,
      value,
      origin,
      setBy: rotation.setBy,
      expiry: field === 'accessToken' ? rotation.expiry : 'unknown',
      previousValidUntil: until,
    })
    if (print === undefined)
      throw new IntegrationsError({
        code: 'CONFLICT',
        message: `somebody else wrote the ${label} while it was being replaced`,
        hint: `look with integrations show ${shellWord(integration.id)}, and try again`,
      })
    fingerprints.push({ field: secretColumns[field], from: old?.fingerprint ?? null, to: print })
  }
  const changed: string[] = due.map((field) => secretColumns[field])
  const tokenExpiresAt = rotation.expiry === 'never' || rotation.expiry === 'unknown' ? null : rotation.expiry
  if (due.includes('accessToken') && tokenExpiresAt !== integration.tokenExpiresAt) {
    await tx.integrations.update(integration.id, { tokenExpiresAt })
    changed.push('token_expires_at')
  }
  return {
    facts: { action: 'secret.rotate', fields: changed, fingerprints },
    result: {
      replaced: Object.fromEntries(
        due.flatMap((field) => {
          const old = held[field]
          return old && 'value' in old ? [[field, old]] : []
        }),
      ),
      warnings,
    },
  }
}

/** The old values. One that does not open can be replaced as well, where it is to end at once and somebody insists. */
async function readOld(
  tx: Transaction,
  { id }: IntegrationView,
  fields: readonly SecretField[],
  brokenToo: boolean,
): Promise<{ [F in SecretField]?: CurrentSecret | UnreadableSecret }> {
  const held: { [F in SecretField]?: CurrentSecret | UnreadableSecret } = {}
  for (const field of fields) {
    try {
      Object.assign(held, await tx.secrets.read(id, [field]))
    } catch (error) {
      if (!isDecryptionFailure(error) || !brokenToo) throw error
      Object.assign(held, { [field]: await tx.secrets.readRaw(id, field) })
    }
  }
  return held
}

/** Refuses to make what the platform makes. @returns what is to be done with a value that was made here */
function generating(platform: Platform, field: SecretField, origin: string): string[] {
  if (origin !== 'generated') return []
  const { label, issuer, page } = secretDefinition(platform, field)
  if (issuer === 'platform')
    throw badInput(
      `only ${platform.title} can make a new ${label}`,
      `make it at ${page}, and pass it with --${flagOf(field)}-stdin`,
    )
  return [
    `enter the generated ${label} at ${platform.title} (${page}), or its webhooks will be refused; integrations secrets reveal shows it`,
  ]
}

/** A value before the old one dies of a second rotation: that needs to be wanted. */
async function endOlder(
  tx: Transaction,
  integration: IntegrationView,
  field: SecretField,
  label: string,
  force: boolean,
  fingerprints: FingerprintChange[],
): Promise<string[]> {
  const older = await tx.secrets.previous(integration.id, field)
  if (!older) return []
  const id = shellWord(integration.id)
  const which = `fingerprint ${older.fingerprint ?? 'unknown'}, valid until ${older.validUntil?.toISOString()}`
  if (!force)
    throw new IntegrationsError({
      code: 'GRACE_PERIOD_ACTIVE',
      message: `the ${label} before the present one is still accepted (${which}); a second rotation needs --force, which ends it at once`,
      hint: `end it with integrations secrets finish ${id} ${flagOf(field)}, wait, or pass --force`,
    })
  await tx.secrets.finish(integration.id, field)
  fingerprints.push({ field: `previous_${secretColumns[field]}`, from: older.fingerprint, to: null })
  return [`ended the ${label} before the old one: ${which}`]
}
