import type { Fingerprint, Instant, IntegrationId } from './brands.ts'
import type { Damageable } from './damage.ts'
import type { Json, JsonObject } from './json.ts'

/** The secret fields of an integration. */
export const secretFields = ['webhookSecret', 'accessToken', 'refreshToken'] as const
/** One of the three secrets that an integration can hold. */
export type SecretField = (typeof secretFields)[number]

/** The column of each secret, which is also the name of the field in its history. */
export const secretColumns = {
  webhookSecret: 'webhook_secret',
  accessToken: 'access_token',
  refreshToken: 'refresh_token',
} as const satisfies Record<SecretField, string>

const separated = (field: string, by: string) => field.replace(/[A-Z]/g, (letter) => `${by}${letter.toLowerCase()}`)

/** The name of a field in flags, as in `webhook-secret`. */
export const flagOf = (field: string): string => separated(field, '-')

/** The name of a field in sentences, as in `webhook secret`. */
export const wordsOf = (field: string): string => separated(field, ' ')

/** The column of a field, which is how the audit log names it, as in `webhook_secret`. */
export const columnOf = (field: string): string => separated(field, '_')

/** The entries of an object that has no keys but those of its type. */
export const entriesOf = <K extends string, V>(object: { readonly [key in K]?: V }): [K, V][] =>
  Object.entries(object) as [K, V][]

/** The columns that hold a platform's own identifiers. */
export type PlatformColumn = 'slackTeamId' | 'slackTeamName' | 'slackBotUserId' | 'pylonAccountId'

/** When an access token expires: at an instant, never, or unknown. */
export type Expiry = Instant | 'never' | 'unknown'

/** The instant at which an access token expires; null for never and unknown. */
export const expiresAt = (expiry: Expiry): Instant | null =>
  expiry === 'never' || expiry === 'unknown' ? null : expiry

/** What may be shown of a secret. */
export interface SecretFacts {
  /** null: unknown, since the application writes the column too, and this database role may not see whether something is in it. */
  readonly set: boolean | null
  /** Keyed fingerprint, 8 bytes as hex, to compare two values without revealing them. */
  readonly fingerprint: Fingerprint | null
  readonly setAt: Instant | null
  /** The end of the grace period of the previous value; null without one. */
  readonly previousValidUntil: Instant | null
}

/**
 * Whether the access token expires: `dated`, at `tokenExpiresAt`; `never`, as a person declared; or `unknown`. null: there
 * is no access token.
 */
export type TokenExpiry = 'dated' | 'never' | 'unknown' | null

/**
 * What prevents a refresh of the access token: `outcome_unknown`, the outcome of a refresh is unknown, and `recover` resolves
 * it; `needs_reauth`, a person has to authorize again; `refused`, the platform refused the last refresh. null: nothing.
 */
export type TokenRefresh = 'outcome_unknown' | 'needs_reauth' | 'refused' | null

/** An integration with facts in place of secrets. */
export interface IntegrationView extends Damageable {
  readonly id: IntegrationId
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
  /** The name of the OAuth app whose client refreshes the access token; null for none. */
  readonly app: string | null
  readonly slackTeamId: string | null
  readonly slackTeamName: string | null
  readonly slackBotUserId: string | null
  readonly pylonAccountId: string | null
  readonly isActive: boolean
  /** An object or null, unless the application wrote another value. */
  readonly config: Json
  readonly lastUsedAt: Instant | null
  readonly createdAt: Instant
  readonly createdBy: string | null
  /** Raised by every change; 0 for a row that the application alone has written. */
  readonly version: number
}

/** What its platform said of an integration's access token, when `check` last asked. */
export interface LastCheck {
  /** As `check` prints it, but for `unreachable`, which says nothing of a token. */
  readonly verdict: string
  /** The platform's own word for it, or `differs` where stored data does; null for none. */
  readonly code: string | null
  readonly at: Instant
}

/** Webhooks for an integration that receivers have refused. */
export interface RefusedWebhooks {
  /** How many since then, at least: a day without any ends the count. */
  readonly count: number
  readonly since: Instant
  /** When the last one came, and why it was refused: the reason of an outcome. */
  readonly lastAt: Instant
  readonly lastReason: string
}

/** What people say of an integration, for themselves. */
export interface Labels {
  /** Who answers for it; null: nobody is named. */
  readonly owner: string | null
  readonly tags: { readonly [name: string]: string }
  readonly note: string | null
}

/** An integration as lists and `show` have it. */
export interface ListedIntegration extends IntegrationView, Labels {
  /** null: the token that is there now was not checked. */
  readonly lastCheck: LastCheck | null
  /** null: none. */
  readonly refusedWebhooks: RefusedWebhooks | null
}

/** How messages and the audit log name an integration: `workspace/name`. */
export const refOf = ({ workspace, name }: Pick<IntegrationView, 'workspace' | 'name'>): string =>
  `${workspace}/${name}`

/** The fields of an integration to insert. */
export type IntegrationInsert = {
  readonly config: JsonObject | null
} & Pick<IntegrationView, 'workspaceId' | 'platform' | 'name' | 'tokenExpiresAt' | 'isActive' | 'createdBy'> & {
    readonly [C in PlatformColumn]?: string
  }

/** A workspace of the application. */
export interface Workspace extends Damageable {
  readonly id: string
  readonly name: string
  readonly integrations: number
  readonly createdAt: Instant
}

/** A user of the application. */
export interface User extends Damageable {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly createdAt: Instant
}

/** An OAuth app, without its secret. */
export interface App extends Damageable {
  readonly id: string
  readonly platform: string
  readonly name: string
  readonly clientId: string
  /** The key that encrypts its secret. */
  readonly keyId: string
  readonly createdAt: Instant
  /** How many integrations use it. */
  readonly integrations: number
}

/** Whether both databases can store a text: PostgreSQL refuses lone surrogates and NUL. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')
