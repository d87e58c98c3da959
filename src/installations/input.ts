/** What an application passes, checked and turned into what the operations take. @module */
import { instantOf } from '../brands.ts'
import { badInput } from '../errors.ts'
import {
  type Expiry,
  entriesOf,
  isStorable,
  type PlatformColumn,
  type SecretField,
  secretFields,
} from '../integration.ts'
import type { JsonObject } from '../json.ts'
import type { IntegrationConfig } from '../library/data-model.ts'
import { parseConfig } from '../operations/config/document.ts'
import { unprintable } from '../operations/names.ts'
import { type NewSecret, type NewSecrets, readSecret } from '../operations/secrets/values.ts'
import type { Platform } from '../platforms/platform.ts'
import { type IntegrationPlatform, platforms } from '../platforms/platforms.ts'

/** Secrets as a platform gives them; what is left out stays as it is, or unset. */
export type Secrets = { readonly [F in SecretField]?: string | undefined }

/** When an access token expires; left out: unknown. */
export type TokenExpiry = Date | 'never' | undefined

/** An integration to add. */
export interface Installation extends InstallationIds {
  /** The id of a workspace that exists. */
  readonly workspaceId: string
  readonly platform: IntegrationPlatform
  /** Unique for the workspace and platform. A second installation has the same name, so that it is recognised. */
  readonly name: string
  readonly secrets?: Secrets
  readonly tokenExpiresAt?: TokenExpiry
  readonly config?: IntegrationConfig | undefined
  /** The id of a user that exists. */
  readonly createdBy?: string | undefined
  /** The OAuth app that refreshes the access token: its name, as in `integrations apps list`, or id. */
  readonly app?: string | undefined
}

/** The platform's own identifiers, by which webhooks find the integration. */
type InstallationIds = { readonly [C in PlatformColumn]?: string | undefined }

const idColumns = platforms.flatMap(({ ids }: Platform) => entriesOf(ids).map(([column]) => column))

/** A text, whatever the application had from a request. @throws BAD_INPUT */
export function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw badInput(`${name} is not a text`, `pass a text as ${name}`)
  if (!isStorable(value)) throw badInput(`${name} is not valid Unicode`, `pass Unicode text as ${name}`)
  return value
}

/** @throws BAD_INPUT */
export const optionalText = (name: string, value: unknown): string | undefined =>
  value === undefined ? undefined : text(name, value)

/** Who the audit log says has done something: one of the application, whatever the name. @throws BAD_INPUT */
export function declaredBy(actor: string | undefined): string {
  if (actor === undefined) return 'application'
  if (typeof actor !== 'string' || actor.trim() === '' || unprintable.test(actor) || actor.length > 500)
    throw badInput('actor is empty, too long, or not printable', 'pass printable text as actor, 500 characters at most')
  return `application:${actor}`
}

/** @throws BAD_INPUT for what cannot be a secret */
export function newSecrets(secrets: Secrets = {}): NewSecrets {
  const given: { [F in SecretField]?: NewSecret } = {}
  for (const field of secretFields) {
    const value = optionalText(field, secrets[field])
    if (value === undefined) continue
    given[field] = { value: readSecret(value, field, 'pass the secret as the platform shows it'), origin: 'provided' }
  }
  return given
}

/** @throws BAD_INPUT for a date that is none, or beyond the years 1 to 9999 */
export function expiryOf(expiry: TokenExpiry): Expiry {
  if (expiry === undefined) return 'unknown'
  if (expiry === 'never') return 'never'
  const year = expiry instanceof Date ? expiry.getUTCFullYear() : Number.NaN
  if (!(year >= 1 && year <= 9999))
    throw badInput('tokenExpiresAt is not a date', 'pass a Date as tokenExpiresAt, or "never"')
  return instantOf(expiry)
}

/** A grace period in milliseconds. @throws BAD_INPUT */
export function milliseconds(graceMs: number | undefined): number {
  if (graceMs === undefined || !Number.isFinite(graceMs) || graceMs < 0)
    throw badInput('graceMs is not a duration', 'pass a number of milliseconds as graceMs, 0 for none')
  return graceMs
}

/** @throws BAD_INPUT for what JSON has no words for, and as `parseConfig` */
export async function configOf(config: IntegrationConfig | undefined): Promise<JsonObject | null> {
  if (config === undefined) return null
  let json: string | undefined
  try {
    json = JSON.stringify(config)
  } catch {
    // A circle, or a number that JSON does not know.
  }
  if (json === undefined) throw badInput('config is not JSON', 'pass a plain object as config')
  return parseConfig(json, 'config')
}

/** The platform's identifiers that were given. @throws BAD_INPUT */
export function idsOf(installation: InstallationIds): { readonly [C in PlatformColumn]?: string } {
  const ids: { [C in PlatformColumn]?: string } = {}
  for (const column of idColumns) {
    const id = optionalText(column, installation[column])
    if (id !== undefined) ids[column] = id
  }
  return ids
}
