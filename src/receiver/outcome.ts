/** What a receiver says of a request. @module */
import type { Instant } from '../brands.ts'
import type { IntegrationView } from '../integration.ts'
import type { Json } from '../json.ts'
import type { WebhookEvent } from '../platforms/platform.ts'

/** Why a request is refused. The status to answer tells strangers no more than it must. */
export type RejectReason =
  | 'too_large'
  | 'signature_missing'
  | 'signature_malformed'
  | 'signature_stale'
  | 'signature_mismatch'
  | 'unknown_integration'
  | 'malformed'
  | 'body_consumed'
  | 'unavailable'
  | 'too_many'

/** Why an authentic request needs no action. */
export type IgnoreReason =
  | 'duplicate'
  | 'inactive'
  /** No integration of the team that the request names has the secret that signed it. */
  | 'unclaimed'
  /** The platform says that it revoked credentials which were replaced since. */
  | 'outdated'
  | 'bot'
  | 'subtype'
  | 'channel'
  | 'event'

/** What a request is. Answer each with its `status` and `body`. `Payload`: what the application knows of the payloads of events. */
export type Outcome<Payload = Json> =
  /** An event for the application to act on. */
  | {
      readonly kind: 'event'
      readonly status: 200
      readonly body: ''
      readonly integration: IntegrationView
      /** Others that share tenant and secret, and want the event too. */
      readonly others: readonly IntegrationView[]
      readonly event: WebhookEvent<Payload>
      /** The version of the secret that matched, as `secrets list` numbers them; null for a version that is not recorded yet. */
      readonly version: number | null
      /** Whether that is a previous secret, inside its grace period. */
      readonly usedPreviousSecret: boolean
      /** Call this when handling the event fails, so that the next delivery is not taken for a duplicate. */
      forget(): void
    }
  /** A request that the receiver answers for the application; `detail` names it, as in `url_verification`. */
  | { readonly kind: 'handled'; readonly status: 200; readonly body: string; readonly detail: string }
  /** An authentic request that needs no action. */
  | { readonly kind: 'ignored'; readonly status: 200; readonly body: ''; readonly reason: IgnoreReason }
  /** A request that is refused, or that cannot be checked now. */
  | {
      readonly kind: 'rejected'
      readonly status: 400 | 401 | 413 | 500 | 503
      readonly body: ''
      readonly reason: RejectReason
    }

/** The outcome of a request that is refused. */
export type Rejected = Extract<Outcome, { readonly kind: 'rejected' }>

/** A valid access token. */
export interface Token {
  readonly token: string
  /** null: the token does not expire, or its expiry is unknown. */
  readonly expiresAt: Instant | null
}

/** Refuses a request. */
export const rejected = (status: Rejected['status'], reason: RejectReason): Rejected => ({
  kind: 'rejected',
  status,
  body: '',
  reason,
})

/** Ignores an authentic request. */
export const ignored = (reason: IgnoreReason): Outcome => ({ kind: 'ignored', status: 200, body: '', reason })

/** Answers a request for the application. */
export const handled = (detail: string, body = ''): Outcome => ({ kind: 'handled', status: 200, body, detail })
