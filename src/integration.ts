/** The secret columns of an integration, as its JSON names them. */
export const secretFields = ['webhookSecret', 'accessToken', 'refreshToken'] as const
/** One of the three secrets an integration can hold. */
export type SecretField = (typeof secretFields)[number]

/** The column of a secret, which is also how its history names the field. */
export const secretColumns = {
  webhookSecret: 'webhook_secret',
  accessToken: 'access_token',
  refreshToken: 'refresh_token',
} as const satisfies Record<SecretField, string>

/** The name of a secret in flags, as in `webhook-secret`. */
export const flagOf = (field: string): string => field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** The columns that hold a platform's own identifiers. A platform without one of its own uses none of them. */
export type PlatformColumn = 'slackTeamId' | 'slackTeamName' | 'slackBotUserId' | 'pylonAccountId'

/** An instant as RFC 3339 text in UTC with milliseconds, as in `2026-11-22T17:02:18.000Z`. */
export type Instant = string

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Channel and event filters; what is in it is described per platform by a JSON Schema. Unknown keys are kept. */
export type IntegrationConfig = { [key: string]: Json }

/** What may be shown of a secret. */
export interface SecretFacts {
  /** null: unknown, because the application writes the column too and nothing has read it yet. */
  readonly set: boolean | null
  /** Keyed fingerprint as 8 bytes of hex, by which two values can be compared unseen. */
  readonly fingerprint: string | null
  readonly setAt: Instant | null
  /** Until when the previous value is still accepted; null when none is. */
  readonly previousValidUntil: Instant | null
}

/**
 * What is known of when the access token ends: `dated`, at its `tokenExpiresAt`, `never` (declared so), or `unknown`.
 * null: there is no access token.
 */
export type TokenExpiry = 'dated' | 'never' | 'unknown' | null

/**
 * What stands in the way of refreshing the access token: `outcome_unknown`, a refresh may have used up the refresh token, and
 * `recover` settles it; `needs_reauth`, only a person can go on; `refused`, the platform refused the last one. null: nothing.
 */
export type TokenRefresh = 'outcome_unknown' | 'needs_reauth' | 'refused' | null

/** An integration as it is shown: every column of the application's table but the secrets, which are facts here. */
export interface IntegrationView {
  readonly id: string
  readonly workspaceId: string
  /** The workspace's name. */
  readonly workspace: string
  readonly platform: string
  readonly name: string
  readonly webhookSecret: SecretFacts
  readonly accessToken: SecretFacts
  readonly refreshToken: SecretFacts
  readonly tokenExpiresAt: Instant | null
  readonly tokenExpiry: TokenExpiry
  readonly tokenRefresh: TokenRefresh
  /** The name of the OAuth app whose client refreshes its token; null when it names none. */
  readonly app: string | null
  readonly slackTeamId: string | null
  readonly slackTeamName: string | null
  readonly slackBotUserId: string | null
  readonly pylonAccountId: string | null
  readonly isActive: boolean
  /** An object or null, unless the application wrote something else. */
  readonly config: Json
  readonly lastUsedAt: Instant | null
  readonly createdAt: Instant
  readonly createdBy: string | null
  /** Raised by every change; 0 for a row that only the application has written. */
  readonly version: number
}

/** How messages and the audit log name an integration: `workspace/name`. */
export const refOf = ({ workspace, name }: Pick<IntegrationView, 'workspace' | 'name'>): string =>
  `${workspace}/${name}`

/** The fields of an integration that are given when it is made. */
export interface IntegrationInsert {
  readonly workspaceId: string
  readonly platform: string
  readonly name: string
  readonly tokenExpiresAt: Instant | null
  readonly slackTeamId?: string
  readonly slackTeamName?: string
  readonly slackBotUserId?: string
  readonly pylonAccountId?: string
  readonly isActive: boolean
  readonly config: IntegrationConfig | null
  readonly createdBy: string | null
}

/** A workspace of the application. */
export interface Workspace {
  readonly id: string
  readonly name: string
  readonly integrations: number
  readonly createdAt: Instant
}

/** A user of the application. */
export interface User {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly createdAt: Instant
}

/** An OAuth app, without its secret. */
export interface App {
  readonly id: string
  readonly platform: string
  readonly name: string
  readonly clientId: string
  /** The key that seals its secret. */
  readonly keyId: string
  readonly createdAt: Instant
  /** How many integrations name it. */
  readonly integrations: number
}

/** JavaScript reads deeper nesting than it can print. */
const deepestShown = 1000

/** The same value with the keys of every object in order. @throws RangeError when it is nested too deeply to be printed */
export function sortKeys(value: Json, depth = 0): Json {
  if (depth > deepestShown) throw new RangeError('nested too deeply')
  if (Array.isArray(value)) return value.map((item) => sortKeys(item, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  const sorted: { [key: string]: Json } = {}
  for (const key of Object.keys(value).sort()) sorted[key] = sortKeys(value[key] ?? null, depth + 1)
  return sorted
}

/** Whether both databases can hold a text: PostgreSQL takes neither lone surrogates nor zero characters. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')
