import type { IntegrationView, PlatformColumn, SecretField } from '../integration.ts'
import { type Json, type JsonObject, objectOf } from '../json.ts'
import type { Secret } from '../secret.ts'
import type { Ask } from './http.ts'
import type { SignatureScheme } from './signature.ts'

/** The form of the values that a platform issues; a value of another form is refused without `--force-shape`. */
export interface Shape {
  readonly pattern: RegExp
  /** Completes "the <label> should …", and never quotes the value. */
  readonly should: string
}

/** For a secret of which no form is known: that of the field beside it is known not to be meant. */
export const noToken: Shape = {
  pattern: /^(?!xox|xapp-|xwfp-|gh[oprsu]_|github_pat_)/,
  should: 'not be a token of Slack or GitHub',
}

/** A secret as one platform understands it. */
export interface SecretDefinition {
  readonly label: string
  /** The usual name of its environment variable, after the platform's name and an underscore. */
  readonly variable: string
  /** Whether an integration is incomplete without it. */
  readonly required: boolean
  /** `platform`: only the platform can issue it. `either`: the platform may accept a value that was made elsewhere. */
  readonly issuer: 'platform' | 'either'
  /** Whether it is that of an app, so that all integrations of the app hold the same value. */
  readonly ofApp?: true
  /** The page on which a new value is issued or entered. */
  readonly page: string
  readonly shapes: readonly Shape[]
}

/** One of a platform's own identifiers. */
export interface IdDefinition {
  readonly label: string
  readonly shape?: Shape
  /** Whether people rename it at will, so that a difference does not mean another tenant. */
  readonly renamed?: true
}

/** The part of JSON Schema (2020-12) that platform definitions use. It is plain data. */
export type JsonSchema = { readonly [key: string]: unknown }

/** The verdicts on a credential. */
export const verdicts = ['ok', 'refused', 'expired', 'limited', 'unreachable', 'unknown'] as const

/**
 * A platform's verdict on a credential: `ok`; `refused`, permanently; `expired`, a refresh may help; `limited`, it works
 * with too few permissions; `unreachable`, no answer at this time; `unknown`, an answer that is not documented.
 */
export type Verdict = (typeof verdicts)[number]

/** A platform's answer about a credential. */
export interface Finding {
  readonly verdict: Verdict
  /** The platform's own code, or that of a network error; null for none. */
  readonly code: string | null
  /** Explains the code: a sentence in lower case, without a full stop. */
  readonly reason?: string
  /** The time after which to retry, where the platform names one. */
  readonly retryAfterSeconds?: number
  /** The owner of the credential. */
  readonly ids?: { readonly [C in PlatformColumn]?: string }
  /** The permissions of the credential. */
  readonly scopes?: readonly string[]
  /** The seconds until the credential expires, or when it does, as the platform says it. */
  readonly expiresIn?: number
  readonly expiresAt?: Date
}

/** The client of an OAuth app. */
export interface OAuthClient {
  readonly id: string
  readonly secret: Secret
}

/**
 * A platform's answer to a refresh token: `renewed`; `refused`, nothing was changed, and `reauthorize` tells whether the
 * refresh token is invalid; `failed`, nothing was changed; `unknown`, the refresh token may have been used.
 */
export type Renewal =
  | {
      readonly outcome: 'renewed'
      readonly accessToken: Secret
      /** null: the refresh token stays valid. */
      readonly refreshToken: Secret | null
      /** In seconds; null: unknown. */
      readonly expiresIn: number | null
    }
  | { readonly outcome: 'refused'; readonly code: string | null; readonly reauthorize: boolean }
  | { readonly outcome: 'failed' | 'unknown'; readonly code: string | null }

/**
 * A platform's answer to the request to revoke a token: `revoked`; `accepted`, the platform will revoke it; `invalid`, the
 * token was not valid any more; `refused` and `failed`, nothing was changed, for good or at this time; `unknown`, the token
 * may have been revoked.
 */
export interface Revocation {
  readonly outcome: 'revoked' | 'accepted' | 'invalid' | 'refused' | 'failed' | 'unknown'
  /** The platform's own code, or that of a network error; null for none. */
  readonly code: string | null
  /** What else the code may mean: a sentence in lower case, without a full stop. */
  readonly reason?: string
  /** The time after which to retry, where the platform names one. */
  readonly retryAfterSeconds?: number
}

/** How a platform revokes access tokens. */
export interface TokenRevoker {
  /** The form of the tokens that the API revokes. */
  readonly pattern: RegExp
  /** What else a revocation does: a sentence without a full stop. */
  readonly destroys: string
  /** Revokes a token. Where the answer is lost, the outcome is `unknown`. */
  revoke(ask: Ask, token: Secret): Promise<Revocation>
}

/** The part of a platform's API that concerns credentials. */
export interface PlatformApi {
  /** The base URL, with a slash at the end. */
  url(config: Json): string
  /** Asks for the owner of an access token; changes nothing. */
  check(ask: Ask, token: Secret): Promise<Finding>
  /** Uses a refresh token, which works once. Absent for a platform without refresh tokens. */
  refresh?(ask: Ask, client: OAuthClient, refreshToken: Secret): Promise<Renewal>
  /** The page on which a person authorizes the application again. */
  readonly reauthorize?: string
  /** Revokes access tokens. Absent for a platform without an API for that. */
  readonly revoker?: TokenRevoker
}

/** A webhook with a valid signature. */
export interface WebhookEvent<Payload = Json> {
  /** The platform's name of the event; null where the body has none. */
  readonly name: string | null
  /** The id of the delivery: a retry has the same. null where the platform sends none. */
  readonly id: string | null
  /** The number of this retry, and why the attempt before failed; null for the first attempt. */
  readonly retry: { readonly number: number; readonly reason: string | null } | null
  /** The body, or the one field of it that holds everything. */
  readonly payload: Payload
}

/** The content of a request with a valid signature. */
export type ParsedWebhook =
  /** The platform wants an answer; there is no event. */
  | { readonly kind: 'answer'; readonly reason: string; readonly body: string }
  /** The body does not have the documented form. */
  | { readonly kind: 'malformed' }
  | {
      readonly kind: 'event'
      readonly event: WebhookEvent
      /** Why the integration ignores the event: a bot sent it, or the config excludes it. */
      readonly unwanted: 'bot' | 'subtype' | 'channel' | 'event' | null
      /** The platform has revoked the credentials of this integration, and since when, where it says so; null: it has not. */
      readonly revoked: { readonly at: Date | null } | null
    }

/** A request as received: headers, and the bytes of its body. */
export interface WebhookRequest {
  readonly headers: { get(name: string): string | null }
  readonly body: Uint8Array
}

/** The text of a body, without a copy of its bytes. */
export const textOf = ({ body }: Pick<WebhookRequest, 'body'>): string =>
  Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()

/** The facts about an integration that reading a webhook needs. */
export type Recipient = Pick<IntegrationView, 'config' | PlatformColumn>

/** A platform's way to send webhooks. */
export interface Webhooks {
  /** The first scheme is the default. */
  readonly schemes: readonly [SignatureScheme, ...SignatureScheme[]]
  /** The key of the config that selects one of several schemes; the headers of a request never do. */
  readonly schemeKey?: string
  readonly maxBodyBytes: number
  /**
   * Finds integrations by the ids that a body claims, before its signature is checked; absent where the address that a
   * webhook is sent to has to name the integration.
   */
  readonly tenant?: {
    readonly column: PlatformColumn
    /** The ids that a body claims, and that of the app that it says it was sent for, which is as long as ids are. */
    claims(request: WebhookRequest): { readonly ids: readonly string[]; readonly app?: string | undefined }
  }
  /** Recognizes a small request that needs an answer and no signature. @returns the reason */
  unsigned?(request: WebhookRequest): string | undefined
  /** Reads a request with a valid signature. */
  read(request: WebhookRequest, recipient: Recipient): ParsedWebhook
  /** The header that names the event of a body; absent where the body names it. */
  readonly event?: {
    readonly header: string
    /** The event of a body, by what the body holds; undefined where that does not tell. */
    of(body: Uint8Array): string | undefined
    /** An event, for help and hints. */
    readonly example: string
  }
  /** The other headers that the platform sends besides the signature; absent where it sends none. */
  deliveryHeaders?(): { readonly [header: string]: string }
  /** Bodies that try an endpoint, by name; the first is the default. */
  readonly samples: { readonly [name: string]: (recipient: Recipient, now: Date) => string }
}

/** The definition of a platform, from which flags, prompts, help, completion, checks and the receiver derive. */
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

/** The scheme that signs an integration's webhooks. */
export function schemeOf({ schemes, schemeKey }: Webhooks, config: Json): SignatureScheme {
  const wanted = schemeKey === undefined ? undefined : configOf(config)[schemeKey]
  return schemes.find(({ id }) => id === wanted) ?? schemes[0]
}

/** A config as an object; empty for any other value that the application wrote. */
export const configOf = (config: Json): JsonObject => objectOf(config) ?? {}

/** Whether the body of a request is a form. */
export const isForm = ({ headers }: Pick<WebhookRequest, 'headers'>): boolean =>
  /^application\/x-www-form-urlencoded\b/i.test(headers.get('content-type') ?? '')

/** The strings in a list of a config; undefined without a list, which excludes nothing. */
export function listOf(config: Json, key: string): readonly string[] | undefined {
  const list = configOf(config)[key]
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : undefined
}
