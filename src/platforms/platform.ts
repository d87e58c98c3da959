import type { IntegrationConfig, IntegrationView, Json, PlatformColumn, SecretField } from '../integration.ts'
import type { Secret } from '../secret.ts'
import type { Ask } from './http.ts'
import type { SignatureScheme } from './signature.ts'

/**
 * What a value should look like. `refuse` is for what the platform documents (`--force` accepts it all the same),
 * `warn` for what is only customary.
 */
export interface Shape {
  readonly pattern: RegExp
  /** Completes "the <label> should …", and never quotes the value. */
  readonly should: string
  readonly otherwise: 'refuse' | 'warn'
}

/** A secret as one platform understands it. */
export interface SecretDefinition {
  readonly label: string
  /** What programs call it in their environment, after the platform's name and an underscore. */
  readonly variable: string
  /** Whether an integration is incomplete without it. */
  readonly required: boolean
  /** `platform`: only the platform can make it. `either`: the platform accepts a value made here, or that is not known. */
  readonly issuer: 'platform' | 'either'
  /** Where a new one is issued or entered. */
  readonly page: string
  readonly shapes: readonly Shape[]
}

/** One of a platform's own identifiers. */
export interface IdDefinition {
  readonly label: string
  readonly shape?: Shape
  /** Whether people rename it at will, so that another one is no sign of another tenant. */
  readonly renamed?: true
}

/** The part of JSON Schema (2020-12) that platform definitions use. It is plain data. */
export type JsonSchema = { readonly [key: string]: unknown }

/**
 * What a platform says of a credential: `ok`; `refused`, for good; `expired`, and can be refreshed; `limited`, it works
 * but not for all; `unreachable`, nobody could be asked, or not now; `unknown`, an answer that nothing is known of.
 */
export type Verdict = 'ok' | 'refused' | 'expired' | 'limited' | 'unreachable' | 'unknown'

/** What came of asking a platform about a credential. */
export interface Finding {
  readonly verdict: Verdict
  /** The platform's own word for it, or the network's; null for none. */
  readonly code: string | null
  /** What its word does not tell: a sentence in lower case, without a full stop. */
  readonly reason?: string
  /** In how many seconds to ask again, where the platform says so. */
  readonly retryAfter?: number
  /** Whose credential it is. */
  readonly ids?: { readonly [C in PlatformColumn]?: string }
  /** What it may do. */
  readonly scopes?: readonly string[]
  /** In how many seconds it ends. */
  readonly expiresIn?: number
}

/** The client of an OAuth app. */
export interface OAuthClient {
  readonly id: string
  readonly secret: Secret
}

/**
 * What came of handing in a refresh token: `renewed`; `refused`, nothing was changed and `reauthorize` tells whether the
 * refresh token is dead; `failed`, nothing was changed; `unknown`, the token may have been used up.
 */
export type Renewal =
  | {
      readonly outcome: 'renewed'
      readonly accessToken: Secret
      /** null: the old one goes on. */
      readonly refreshToken: Secret | null
      /** In seconds; null where the platform does not say. */
      readonly expiresIn: number | null
    }
  | { readonly outcome: 'refused'; readonly code: string | null; readonly reauthorize: boolean }
  | { readonly outcome: 'failed' | 'unknown'; readonly code: string | null }

/** A platform's API, as far as credentials go. */
export interface PlatformApi {
  /** Where it is; with a slash at the end. */
  url(config: Json): string
  /** Asks whose an access token is, which changes nothing. */
  check(ask: Ask, token: Secret): Promise<Finding>
  /** Hands in a refresh token, which can be done once. Absent where the platform has none. */
  refresh?(ask: Ask, client: OAuthClient, refreshToken: Secret): Promise<Renewal>
  /** Where a person gives the application access again. */
  readonly reauthorize?: string
}

/** A webhook whose signature holds. */
export interface WebhookEvent {
  /** What happened, as the platform calls it; null where the body does not tell. */
  readonly name: string | null
  /** Of this delivery: the same when it is sent again. null where nothing tells. */
  readonly id: string | null
  /** Which attempt to deliver it this is, and why the one before did not do. */
  readonly retry: { readonly number: number; readonly reason: string | null } | null
  /** The body, or its one field that holds everything. */
  readonly payload: Json
}

/** What a request is, once its signature holds. */
export type ParsedWebhook =
  /** The platform asks for an answer, and nothing has happened. */
  | { readonly kind: 'answer'; readonly reason: string; readonly body: string }
  /** Not what it should be. */
  | { readonly kind: 'malformed' }
  | {
      readonly kind: 'event'
      readonly event: WebhookEvent
      /** Why an integration does not want it: sent by a bot, or left out by its config. */
      readonly unwanted: 'bot' | 'subtype' | 'channel' | 'event' | null
      /** The platform has taken the credentials back. */
      readonly revoked: boolean
    }

/** A request as it came: headers, and the bytes of its body. */
export interface WebhookRequest {
  readonly headers: { get(name: string): string | null }
  readonly body: Uint8Array
}

/** What the receiver of a webhook knows of an integration. */
export type Recipient = Pick<IntegrationView, 'config' | PlatformColumn>

/** How a platform sends webhooks. */
export interface Webhooks {
  /** The first is the usual one. */
  readonly schemes: readonly [SignatureScheme, ...SignatureScheme[]]
  /** The key of the config that names the scheme, where there are several: never the header that happens to arrive. */
  readonly schemeKey?: string
  /** How large a body may be, in bytes. */
  readonly largestBody: number
  /**
   * Finds integrations by what a body claims before its signature is checked; absent where the sender must be named by
   * the address that it sends to.
   */
  readonly tenant?: {
    readonly column: PlatformColumn
    /** The ids that a body claims; nothing else of it is looked at. */
    claimed(request: WebhookRequest): readonly string[]
  }
  /** A small request that is answered before its signature is checked, since nothing is done. @returns why */
  unsigned?(request: WebhookRequest): string | undefined
  /** Reads a request whose signature holds. */
  read(request: WebhookRequest, recipient: Recipient): ParsedWebhook
  /** The headers that are sent with a body beside its signature; absent where the body says it all. */
  beside?(body: Uint8Array): { readonly [header: string]: string }
  /** Requests to try an endpoint with, by name; the first is the usual one. */
  readonly samples: {
    readonly [name: string]: (
      recipient: Recipient,
      now: Date,
    ) => { readonly body: string; readonly headers: { readonly [name: string]: string } }
  }
}

/** Everything this tool knows of a platform. Flags, prompts, help, completion, checks and the receiver derive from it. */
export interface Platform {
  readonly id: string
  readonly title: string
  readonly secrets: { readonly [F in SecretField]?: SecretDefinition }
  readonly ids: { readonly [C in PlatformColumn]?: IdDefinition }
  readonly config: JsonSchema & { readonly properties: { readonly [key: string]: JsonSchema } }
  readonly api: PlatformApi
  readonly webhooks: Webhooks
}

/** Keeps the literal type of `id`, from which `IntegrationPlatform` derives. */
export const definePlatform = <const P extends Platform>(platform: P): P => platform

/** The scheme by which an integration's webhooks are signed. */
export function schemeOf({ schemes, schemeKey }: Webhooks, config: Json): SignatureScheme {
  const wanted = schemeKey === undefined ? undefined : configOf(config)[schemeKey]
  return schemes.find(({ id }) => id === wanted) ?? schemes[0]
}

/** A config as an object; empty where the application wrote something else. */
export const configOf = (config: Json): IntegrationConfig =>
  typeof config === 'object' && config !== null && !Array.isArray(config) ? config : {}

/** The strings in a list of a config; undefined where there is no list, which lets everything through. */
export function listOf(config: Json, key: string): readonly string[] | undefined {
  const list = configOf(config)[key]
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : undefined
}
