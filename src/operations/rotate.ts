import { badInput, IntegrationsError, shellWord } from '../errors.ts'
import { type Instant, type Integration, type SecretField, secretFields } from '../integration.ts'
import type { Platform } from '../platforms/platform.ts'
import { findPlatform } from '../platforms/platforms.ts'
import type { FingerprintChanges } from '../store/fingerprints.ts'
import { secretColumns } from '../store/secret-facts.ts'
import type { Changes, Store } from '../store/store.ts'
import { type Changed, type ChangeOptions, changeWithin, type Facts } from './change.ts'
import { findIntegration } from './find.ts'
import { checkShape, type Expiry, flagOf, type NewSecret, type NewSecrets, secretDefinition } from './secret-values.ts'

/** New secrets for an integration. */
export interface Rotation extends ChangeOptions {
  readonly secrets: NewSecrets
  readonly expiry: Expiry
  readonly setBy: string
  /** How long the old values stay valid: for so many milliseconds, or until an instant. */
  readonly overlap: number | Instant
  /** Every integration that holds the same value takes the new one. */
  readonly shared: boolean
  /** Accept values of another shape than documented, and end a window that is still open. */
  readonly force: boolean
}

/** What a rotation did: the integration asked for goes first, then those that share its secret. */
export interface Rotated {
  readonly changed: readonly [Changed, ...Changed[]]
  readonly warnings: readonly string[]
  /** When an endpoint that accepts both values was last heard of; null: never. */
  readonly receiverSeenAt: Instant | null
}

/** How long an old value may stay valid at most, in milliseconds. */
export const longestOverlap = 7 * 86_400_000

/**
 * Replaces one secret, or several together, in one transaction. The old values stay valid for the overlap.
 *
 * @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, CONFLICT when the application wrote a column meanwhile, WINDOW_OPEN when the
 *   value before the old one is still valid
 */
export async function rotateSecrets(store: Store, ref: string, rotation: Rotation): Promise<Rotated> {
  if (rotation.expiry !== 'unknown' && !rotation.secrets.accessToken)
    throw badInput('an expiry was given without an access token', 'give the new token too, as in --access-token-stdin')
  return store.mutate(
    async (rows) => {
      const main = await findIntegration(rows, ref)
      const warnings: string[] = []
      const until = endOfOverlap(rotation.overlap, rows.now)
      const noticed: FingerprintChanges[number][] = []
      const rotateOne = (id: string, fields: readonly SecretField[], ifVersion?: number) =>
        changeWithin(rows, id, ifVersion, async (integration) => {
          const [facts, odd] = await rotateWithin(rows, integration, fields, rotation, until, noticed.splice(0))
          warnings.push(...odd)
          return facts
        })
      const sharers = rotation.shared
        ? await sharersOf(rows, main, rotation.secrets, (changes) => noticed.push(...changes))
        : []
      const first = await rotateOne(main.id, given(rotation.secrets), rotation.ifVersion)
      const others: Changed[] = []
      for (const [id, fields] of sharers) others.push(await rotateOne(id, fields))
      const { receiverSeenAt } = rows.settings
      return { changed: [first, ...others] as const, warnings: [...new Set(warnings)], receiverSeenAt }
    },
    { dryRun: rotation.dryRun ?? false },
  )
}

const given = (secrets: NewSecrets) => secretFields.filter((field) => secrets[field])

function endOfOverlap(overlap: number | Instant, now: Date): Date {
  const until = typeof overlap === 'number' ? new Date(now.getTime() + overlap) : new Date(overlap)
  if (until < now) throw badInput('--until is in the past', 'pass --grace 0 to end the old value at once')
  if (until.getTime() - now.getTime() > longestOverlap)
    throw badInput('an old value stays valid for 7 days at most', 'pass a shorter --grace, as in --grace 24h')
  return until
}

/** The other integrations that hold a value which is to be replaced, with the fields in which they do. */
async function sharersOf(
  rows: Changes,
  main: Integration,
  secrets: NewSecrets,
  noticed: (changes: FingerprintChanges) => void,
): Promise<Map<string, SecretField[]>> {
  const sharers = new Map<string, SecretField[]>()
  // A value that only the application has written has no fingerprint until it is read.
  const held = await rows.secrets.read(main.id, given(secrets), noticed)
  for (const field of given(secrets)) {
    const print = held[field]?.fingerprint
    if (print === undefined) continue
    for (const id of await rows.secrets.sharing(field, print))
      if (id !== main.id) sharers.set(id, [...(sharers.get(id) ?? []), field])
  }
  return sharers
}

async function rotateWithin(
  rows: Changes,
  integration: Integration,
  fields: readonly SecretField[],
  rotation: Rotation,
  until: Date,
  noticed: FingerprintChanges,
): Promise<[Facts, string[]]> {
  const platform = platformOf(integration)
  const warnings: string[] = []
  const fingerprints = [...noticed]
  const held = await rows.secrets.read(integration.id, fields, (changes) => fingerprints.push(...changes))
  for (const field of fields) {
    const { value, origin } = rotation.secrets[field] as NewSecret
    const { label } = secretDefinition(platform, field)
    const old = held[field] ?? null
    warnings.push(...checkShape(platform, field, value, rotation.force))
    warnings.push(...generating(platform, field, origin))
    if (old?.value.reveal() === value.reveal())
      throw badInput(
        `the new ${label} is the one already stored`,
        'give the new value, or leave the integration as it is',
      )
    warnings.push(...(await endOlder(rows, integration, field, label, rotation.force, fingerprints)))
    const print = await rows.secrets.replace(integration.id, {
      field,
      old,
      value,
      origin,
      setBy: rotation.setBy,
      neverExpires: field === 'accessToken' && rotation.expiry === 'never',
      oldValidUntil: until,
    })
    if (print === undefined)
      throw new IntegrationsError(
        'CONFLICT',
        `somebody else wrote the ${label} while it was being replaced`,
        `look with integrations show ${shellWord(integration.id)}, and try again`,
      )
    fingerprints.push({ field: secretColumns[field], from: old?.fingerprint ?? null, to: print })
  }
  const changed: string[] = fields.map((field) => secretColumns[field])
  const tokenExpiresAt = rotation.expiry === 'never' || rotation.expiry === 'unknown' ? null : rotation.expiry
  if (fields.includes('accessToken') && tokenExpiresAt !== integration.tokenExpiresAt) {
    await rows.integrations.update(integration.id, { tokenExpiresAt })
    changed.push('token_expires_at')
  }
  return [{ action: 'secret.rotate', fields: changed, fingerprints }, warnings]
}

/** The platform of an integration. @throws BAD_INPUT when this version does not know it */
export function platformOf(integration: Integration): Platform {
  const platform = findPlatform(integration.platform)
  if (!platform)
    throw badInput(
      `this version does not know the platform ${JSON.stringify(integration.platform)}`,
      'upgrade integrations',
    )
  return platform
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
  rows: Changes,
  integration: Integration,
  field: SecretField,
  label: string,
  force: boolean,
  fingerprints: FingerprintChanges[number][],
): Promise<string[]> {
  const older = await rows.secrets.previous(integration.id, field)
  if (!older) return []
  const id = shellWord(integration.id)
  const which = `${older.fingerprint ?? 'without fingerprint'}, valid until ${older.validUntil?.toISOString()}`
  if (!force)
    throw new IntegrationsError(
      'WINDOW_OPEN',
      `the ${label} before the present one is still accepted (${which}); a second rotation would end it`,
      `integrations secrets finish ${id} ${flagOf(field)}, or pass --force to end it now`,
    )
  await rows.secrets.finish(integration.id, field)
  fingerprints.push({ field: `previous_${secretColumns[field]}`, from: older.fingerprint, to: null })
  return [`ended the ${label} before the old one: ${which}`]
}
