import type { Instant, IntegrationView } from '../integration.ts'
import type { WebhookEvent } from '../platforms/platform.ts'

/** Why a request is refused. The status to answer does not tell strangers more than it must. */
export type Refusal =
  | 'too_large'
  | 'signature_missing'
  | 'signature_malformed'
  | 'signature_stale'
  | 'signature_mismatch'
  | 'unknown_integration'
  | 'malformed'
  | 'unavailable'
  | 'too_many'

/** Why a request that is as it should be is nothing to act on. */
export type IgnoreReason = 'answered' | 'duplicate' | 'inactive' | 'bot' | 'subtype' | 'channel' | 'event'

/** What came of a request, and what to answer. */
export type Outcome =
  | {
      readonly ok: true
      readonly status: 200
      readonly body: ''
      readonly integration: IntegrationView
      /** Others that share tenant and secret, and want the event too. */
      readonly others: readonly IntegrationView[]
      readonly event: WebhookEvent
      /** Which version of the secret matched, as `secrets list` numbers them; null for one that nobody has recorded. */
      readonly version: number | null
      /** Whether it is one before the current, inside its window. */
      readonly previous: boolean
      /** Say this when the event could not be handled, so that it is not taken for a duplicate when it comes again. */
      forget(): void
    }
  | {
      readonly ok: false
      readonly status: 200
      readonly body: string
      readonly reason: IgnoreReason
      readonly what: string | null
    }
  | { readonly ok: false; readonly status: 400 | 401 | 413 | 503; readonly body: ''; readonly reason: Refusal }

/** An access token to use now. */
export interface Token {
  readonly token: string
  /** null: it never ends, or nobody knows when it does. */
  readonly expiresAt: Instant | null
}

/** An outcome for a request that is refused. */
export const rejected = (status: 400 | 401 | 413 | 503, reason: Refusal): Outcome => ({
  ok: false,
  status,
  body: '',
  reason,
})

/** An outcome for a request that is nothing to act on. */
export const ignored = (reason: IgnoreReason, what: string | null = null, body = ''): Outcome => ({
  ok: false,
  status: 200,
  body,
  reason,
  what,
})
