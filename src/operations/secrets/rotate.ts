import type { Instant, IntegrationId } from '../../brands.ts'
import { conflict, IntegrationsError } from '../../errors.ts'
import {
  type Expiry,
  expiresAt,
  flagOf,
  type IntegrationView,
  refOf,
  type SecretField,
  secretColumns,
  secretFields,
} from '../../integration.ts'
import type { ApiUrls } from '../../platforms/api-urls.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { FingerprintChange } from '../../store/audit/fingerprints.ts'
import type { CurrentSecret, UnreadableSecret } from '../../store/secrets/current.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { type Changed, type ChangeOptions, changeWithin, type Decision, findToChange } from '../change.ts'
import { type AskOptions, type CheckedToken, checkNewToken, keepVerdict, nothingToCheck } from '../check/token.ts'
import type { Ref } from '../find.ts'
import { checkAndRetry, commandLine } from '../texts.ts'
import { gracePeriodEnd, requireNoPrevious, which } from './grace-period.ts'
import { readCurrent } from './read-current.ts'
import { beginRevocation, type RevocableToken } from './revocation.ts'
import {
  checkGenerated,
  checkShape,
  isNewExpiry,
  type NewSecret,
  type NewSecrets,
  requireTokenFor,
  secretDefinition,
} from './values.ts'

/** New secrets for an integration. */
export interface Rotation extends ChangeOptions {
  /** The integration as the user named it, for hints. */
  readonly typed: string
  readonly secrets: NewSecrets
  readonly expiry: Expiry
  /** The expiry is so long from now: of a token that is stored already it says nothing new. */
  readonly expiresFromNow?: boolean
  readonly setBy: string
  /**
   * How long the replaced values stay valid: milliseconds, or the instant of the end. Undefined is an error where there
   * is a value to replace.
   */
  readonly gracePeriod: number | Instant | undefined
  /** Replace the value in every integration that has the same value. */
  readonly shared: boolean
  /** Accept values that do not look like those of the platform. */
  readonly forceShape: boolean
  /** Expire previous values that are still valid, and forget those that cannot be decrypted. */
  readonly endPrevious: boolean
  /** Have the platform revoke the access tokens that are replaced, asked at these addresses. Without a grace period alone. */
  readonly revoke?: ApiUrls | undefined
  /** The new access token, and what the platform has said of it. */
  readonly checked?: CheckedToken | undefined
}

/** The result of a rotation: the named integration goes first, then those that shared its secret. */
export interface Rotated {
  readonly changed: readonly [Changed, ...Changed[]]
  /** The secrets of the named integration that were replaced; one that was stored already is not among them. */
  readonly fields: readonly SecretField[]
  readonly warnings: readonly string[]
  /** The tokens that are to be revoked now, with `revokeTokens`. */
  readonly tokens: readonly RevocableToken[]
}

/**
 * Replaces one or more secrets in one transaction. The replaced values stay valid for the grace period. A value that is
 * stored already stays as it is, so that a job may do the same again.
 *
 * @throws BAD_INPUT, INPUT_REQUIRED without a grace period where there is a value to replace, NOT_FOUND, AMBIGUOUS,
 *   CONFLICT when the application wrote a column meanwhile or the value is the previous one, GRACE_PERIOD_ACTIVE when a secret still has a previous value,
 *   DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function rotateSecrets(store: Store, ref: Ref, rotation: Rotation): Promise<Rotated> {
  requireTokenFor(rotation.expiry, rotation.secrets.accessToken !== undefined)
  const found = await findToChange(store, ref, { damagedToo: true })
  return store.mutate(async (tx) => {
    const named = ofRotation(rotation, tx.now)
    const { secrets, ifVersion, revoke } = rotation
    if (secrets.refreshToken) await tx.refresh.forgetDamaged(found.id)
    const current = secrets.accessToken && tx.secrets.fingerprint(secrets.accessToken.value)
    const tokens: RevocableToken[] = []
    const rotate = async (replacement: Replacement) => {
      const { integration, fields } = replacement
      if (revoke && fields.includes('accessToken'))
        tokens.push(...(await beginRevocation(tx, integration, { scope: 'previous', current, urls: revoke })))
      return rotateWithin(tx, replacement)
    }
    const first = await changeWithin(tx, { ...found, ifVersion }, (integration) => rotate({ integration, ...named }))
    const others: (typeof first)[] = []
    for (const [sharer, fields] of rotation.shared ? await sharersOf(tx, first.replaced) : []) {
      const other = await changeWithin(tx, { id: sharer }, async (integration) => {
        // One that only seemed to have the value keeps its own.
        const due = await holding(tx, sharer, {
          fields,
          values: first.replaced,
          unreadableToo: forgetsUnreadable(tx, named),
        })
        return rotate({ ...named, integration, ref: sharer, fields: due })
      })
      if (other.after !== other.before) others.push(other)
    }
    const all = [first, ...others].map(({ after }) => after)
    if (rotation.checked) await keepVerdict(tx, all, rotation.checked)
    const warnings = new Set([first, ...others].flatMap((one) => one.warnings))
    const { fields } = first
    const changed = [withoutValues(first), ...others.map(withoutValues)] as const
    return { changed, fields, warnings: [...warnings], tokens }
  }, rotation)
}

/**
 * Replaces secrets, once the platform has accepted the new access token as one of the integration's tenant.
 *
 * @throws what `rotateSecrets` throws, before the platform is asked; CREDENTIAL_REFUSED, PLATFORM_FAILED, CHECK_FAILED;
 *   CONFLICT when the integration changed while the platform was asked
 */
export async function rotateCheckedSecrets(
  store: Store,
  ref: Ref,
  { asking, ...rotation }: Rotation & { readonly asking: AskOptions },
): Promise<Rotated> {
  const { accessToken } = rotation.secrets
  if (!accessToken) throw nothingToCheck()
  // Prepared first, so that every refusal of ours comes before the platform is asked.
  const prepared = await rotateSecrets(store, ref, { ...rotation, dryRun: true })
  const [{ before }] = prepared.changed
  if (prepared.changed.every((one) => one.after === one.before)) return prepared
  const token = { integration: before, token: accessToken.value, expiry: rotation.expiry }
  const { answer, expiry, warnings } = await checkNewToken(store, token, asking)
  const checked = { answer, token: accessToken.value }
  const committed = await rotateSecrets(
    store,
    { id: before.id },
    { ...rotation, expiry, ifVersion: before.version, checked },
  )
  return { ...committed, warnings: [...committed.warnings, ...warnings] }
}

/** What integrations shared before a rotation, by field. Of a value that was replaced earlier, the fingerprint alone is known. */
export type Held = { readonly [F in SecretField]?: Pick<CurrentSecret, 'fingerprint'> & Partial<CurrentSecret> }

const withoutValues = ({ before, after }: Changed): Changed => ({ before, after })

const given = (secrets: NewSecrets) => secretFields.filter((field) => secrets[field])

/** The integrations that seem to have a value that was just replaced, with the fields that have it. */
async function sharersOf(tx: Transaction, replaced: Held): Promise<Map<IntegrationId, SecretField[]>> {
  const sharers = new Map<IntegrationId, SecretField[]>()
  for (const field of secretFields) {
    const old = replaced[field]
    for (const id of old ? await tx.secrets.sharing(field, old.fingerprint, old.value) : [])
      sharers.set(id, [...(sharers.get(id) ?? []), field])
  }
  return sharers
}

/** The secrets of one integration to replace. */
export interface Replacement {
  readonly integration: IntegrationView
  /** The integration's name in hints. */
  readonly ref: string
  readonly fields: readonly SecretField[]
  readonly rotation: Rotation
  /** The end of the grace period. */
  readonly until: Date
}

/** The part of a replacement that comes of what a person asked for. */
export const ofRotation = (rotation: Rotation, now: Date): Omit<Replacement, 'integration'> => ({
  ref: rotation.typed,
  fields: given(rotation.secrets),
  rotation,
  until: gracePeriodEnd(rotation.gracePeriod, now),
})

/** Whether values that cannot be decrypted may be replaced. */
const forgetsUnreadable = ({ now }: Transaction, { rotation, until }: Pick<Replacement, 'rotation' | 'until'>) =>
  rotation.endPrevious && until <= now

/** Those of an integration's secrets that have the values which another integration had. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
async function holding(
  tx: Transaction,
  id: IntegrationId,
  { values, ...which }: Parameters<typeof readCurrent>[2] & { readonly values: Held },
): Promise<readonly SecretField[]> {
  const held = await readCurrent(tx, id, which)
  return which.fields.filter((field) => held[field]?.fingerprint === values[field]?.fingerprint)
}

/** Replaces secrets of one integration within a transaction, as `rotateSecrets` does. */
export async function rotateWithin(
  tx: Transaction,
  { integration, ref, fields, rotation, until }: Replacement,
): Promise<Decision<{ replaced: Held; fields: readonly SecretField[]; warnings: readonly string[] }>> {
  const platform = platformOf(integration)
  const warnings: string[] = []
  const fingerprints: FingerprintChange[] = []
  const unreadableToo = forgetsUnreadable(tx, { rotation, until })
  const held = await readCurrent(tx, integration.id, { fields, unreadableToo })
  const stored = fields.filter((field) => isHeld(held[field], newSecret(rotation, field)))
  const replaced = fields.filter((field) => !stored.includes(field))
  const ended: SecretField[] = []
  const endsAtOnce = rotation.endPrevious || (rotation.gracePeriod !== undefined && until <= tx.now)
  const named = (label: string) => (rotation.shared ? `${label} of ${refOf(integration)}` : label)
  const expirePrevious = async (field: SecretField, label: string, previous: SecretVersion) => {
    await tx.secrets.finish(integration.id, field)
    fingerprints.push({ field: `previous_${secretColumns[field]}`, from: previous.fingerprint, to: null })
    if (field !== 'webhookSecret') return
    warnings.push(`${rotation.dryRun ? 'would expire' : 'expired'} the previous ${named(label)}: ${which(previous)}`)
  }
  const former: { [F in SecretField]?: Held[F] } = {}
  for (const field of stored) {
    const { label } = secretDefinition(platform, field)
    const previous = await tx.secrets.previous(integration.id, field)
    if (previous?.fingerprint) former[field] = { fingerprint: previous.fingerprint }
    if (!previous || !endsAtOnce) continue
    requireNoPrevious(previous, { label: named(label), field, ref, endPrevious: rotation.endPrevious })
    await expirePrevious(field, label, previous)
    ended.push(field)
  }
  for (const field of replaced) {
    const { value, origin } = newSecret(rotation, field)
    const { label } = secretDefinition(platform, field)
    const old = held[field] ?? null
    warnings.push(...checkGenerated(platform, field, { origin, dryRun: rotation.dryRun }))
    warnings.push(...checkShape(platform, field, { value, forceShape: rotation.forceShape }))
    if (old && rotation.gracePeriod === undefined)
      throw new IntegrationsError({
        code: 'INPUT_REQUIRED',
        message: '--grace is required: how long does the previous secret stay valid?',
        hint: 'pass --grace 24h, or --grace 0 to expire the previous secret at once',
      })
    const previous = await tx.secrets.previous(integration.id, field)
    if (previous?.fingerprint === tx.secrets.fingerprint(value))
      throw conflict(
        `the new ${label} is the previous one, which is ${field === 'webhookSecret' ? 'valid' : 'kept'} until ${previous.validUntil}`,
        `to make it current again: ${commandLine('secrets revert', [ref, flagOf(field)])}`,
      )
    if (previous) requireNoPrevious(previous, { label: named(label), field, ref, endPrevious: rotation.endPrevious })
    // After a leak, no value of a token is of use; what a refresh has replaced expires by itself.
    if (previous && endsAtOnce) await expirePrevious(field, label, previous)
    const print = await tx.secrets.replace(integration.id, {
      field,
      old,
      value,
      origin,
      setBy: rotation.setBy,
      expiry: field === 'accessToken' ? rotation.expiry : 'unknown',
      previousValidUntil: until,
      forgetUnreadable: unreadableToo,
    })
    if (print === undefined) throw conflict(`the application wrote the ${label} at the same time`, checkAndRetry(ref))
    fingerprints.push({ field: secretColumns[field], from: old?.fingerprint ?? null, to: print })
  }
  const changed: string[] = [...replaced, ...ended].map((field) => secretColumns[field])
  const tokenExpiresAt = expiresAt(rotation.expiry)
  const token = held.accessToken
  if (replaced.includes('accessToken') && tokenExpiresAt !== integration.tokenExpiresAt) {
    await tx.integrations.update(integration.id, { tokenExpiresAt })
    changed.push('token_expires_at')
  }
  if (stored.includes('accessToken') && token && token.fingerprint !== null && isNewExpiry(rotation, integration)) {
    if (await tx.secrets.setExpiry(integration.id, token.number, rotation.expiry)) changed.push('token_expires_at')
  }
  const action = replaced.length > 0 ? 'secret.rotate' : ended.length > 0 ? 'secret.finish' : 'integration.update'
  return {
    facts: changed.length > 0 ? { action, fields: changed, fingerprints } : undefined,
    result: {
      fields: replaced,
      replaced: {
        ...former,
        ...Object.fromEntries(
          replaced.flatMap((field) => {
            const old = held[field]
            return old && old.fingerprint !== null ? [[field, old]] : []
          }),
        ),
      },
      warnings,
    },
  }
}

const newSecret = ({ secrets }: Rotation, field: SecretField) => secrets[field] as NewSecret

/** Whether a value is what is stored already. */
const isHeld = (held: CurrentSecret | UnreadableSecret | undefined, { value }: NewSecret): boolean =>
  held !== undefined && held.fingerprint !== null && held.value.reveal() === value.reveal()
