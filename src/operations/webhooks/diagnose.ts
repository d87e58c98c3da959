import { type Platform, schemeOf } from '../../platforms/platform.ts'
import { matches, readSignature, type Signature, type SignatureScheme } from '../../platforms/signature.ts'
import type { Secret } from '../../secret.ts'
import { unaltered } from './altered-bodies.ts'
import { type CapturedRequest, headersOf } from './raw-request.ts'

/** Why a webhook is not accepted. */
export type Refusal =
  | 'missing_header'
  | 'malformed_header'
  | 'duplicated_header'
  | 'stale'
  | 'body_altered'
  | 'malformed_body'
  | 'other_scheme'
  | 'other_integration'
  | 'wrong_secret'
  | 'no_secret'

/** What is to be said of a webhook. */
export interface Verdict<S> {
  /** The scheme that the integration's config asks for. */
  readonly scheme: SignatureScheme
  /** null: it is accepted. */
  readonly refusal: Refusal | null
  /** The secret that made the signature; null for none of those tried. */
  readonly secret: S | null
  /** How many seconds the sender's clock is ahead; null where nothing tells. */
  readonly skew: number | null
  /** What was found, in sentences without a full stop. */
  readonly findings: readonly string[]
}

/** A signature of which the time is left out of account, and what the time is. */
type Timeless = { readonly signature: Signature; readonly skew: number | null; readonly stale: boolean }

function timeless(scheme: SignatureScheme, captured: CapturedRequest, now: number): Timeless {
  const request = { headers: headersOf(captured), body: captured.body }
  const signature = readSignature(scheme, request, now)
  if (signature.readable || signature.why !== 'stale') return { signature, skew: signature.skew, stale: false }
  const then = now + (signature.skew ?? 0) * 1000
  return { signature: readSignature(scheme, request, then), skew: signature.skew, stale: true }
}

const madeBy = <S extends { readonly value: Secret }>(
  signature: Signature,
  secrets: readonly S[],
  body: Uint8Array,
): S | undefined => (signature.readable ? secrets.find(({ value }) => matches(signature, value, body)) : undefined)

/**
 * Judges a webhook by the secrets of the integration that it was sent to, and looks for the reason when none made its
 * signature.
 *
 * @param now in milliseconds since 1970
 */
export function judge<S extends { readonly value: Secret }>(
  { webhooks }: Pick<Platform, 'webhooks'>,
  config: Parameters<typeof schemeOf>[1],
  secrets: readonly S[],
  captured: CapturedRequest,
  now: number,
): Verdict<S> {
  const scheme = schemeOf(webhooks, config)
  const { signature, skew, stale } = timeless(scheme, captured, now)
  const when = age(scheme, skew, stale)
  const verdict = (refusal: Refusal | null, secret: S | null, ...findings: readonly string[]): Verdict<S> => ({
    scheme,
    refusal,
    secret,
    skew,
    findings,
  })

  const match = madeBy(signature, secrets, captured.body)
  if (match && stale) return verdict('stale', match, ...when, 'the signature itself is right')
  if (match) return verdict(null, match)
  for (const { how, body } of unaltered(captured.body)) {
    const altered = madeBy(signature, secrets, body)
    if (altered) return verdict('body_altered', altered, `the body is not as it was sent: ${how}, it matches`, ...when)
  }
  for (const other of webhooks.schemes.filter(({ id }) => id !== scheme.id)) {
    const otherwise = timeless(other, captured, now)
    const secret = madeBy(otherwise.signature, secrets, captured.body)
    if (secret)
      return {
        ...verdict('other_scheme', secret),
        skew: otherwise.skew,
        findings: [
          `it is signed by the scheme ${other.id} (${other.header}), while the config of the integration says ${scheme.id} (${scheme.header})`,
          ...age(other, otherwise.skew, otherwise.stale),
        ],
      }
  }
  if (!signature.readable) return verdict(...unreadable(scheme, signature, captured))
  return verdict(
    secrets.length === 0 ? 'no_secret' : 'wrong_secret',
    null,
    secrets.length === 0
      ? 'the integration has no webhook secret'
      : 'none of its secrets made the signature, nor would one with the changes to a body that are usual on its way',
    ...when,
    ...lengthFinding(captured),
  )
}

/** Whether one of other secrets made the signature of a webhook. */
export const madeByOther = <S extends { readonly value: Secret }>(
  scheme: SignatureScheme,
  captured: CapturedRequest,
  now: number,
  secrets: readonly S[],
): S | undefined => madeBy(timeless(scheme, captured, now).signature, secrets, captured.body)

function age({ timestamp }: SignatureScheme, skew: number | null, stale: boolean): string[] {
  if (!stale || skew === null || !timestamp) return []
  const seconds = Math.abs(skew)
  return [
    `the timestamp is ${skew < 0 ? `${seconds} seconds old` : `${seconds} seconds in the future`}, and up to ${timestamp.tolerance} are accepted`,
  ]
}

function unreadable(
  { header, prefix, timestamp }: SignatureScheme,
  signature: Signature & { readable: false },
  { headers }: CapturedRequest,
): [Refusal, null, ...string[]] {
  const count = headers.filter(([name]) => name === signature.header).length
  if (count > 1) return ['duplicated_header', null, `the header ${signature.header} is there ${count} times`]
  if (signature.why === 'missing') return ['missing_header', null, `there is no header ${signature.header}`]
  return [
    'malformed_header',
    null,
    signature.header === timestamp?.header && signature.header !== header
      ? `the header ${signature.header} is not a number of seconds since 1970`
      : `the header ${signature.header} is not ${prefix === '' ? '' : `${prefix} and `}64 lower-case hex digits`,
  ]
}

function lengthFinding({ headers, body }: CapturedRequest): string[] {
  const said = headers.find(([name]) => name === 'content-length')?.[1]
  return said === undefined || Number(said) === body.length
    ? []
    : [`the body has ${body.length} bytes, and Content-Length says another number`]
}
