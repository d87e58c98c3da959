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

/** A captured webhook, and the time of the check in milliseconds since 1970. */
export interface Capture {
  readonly captured: CapturedRequest
  readonly now: number
}

/** The verdict on a webhook. */
export interface Verdict<S> {
  /** The scheme that the integration's config asks for. */
  readonly scheme: SignatureScheme
  /** null: the webhook is accepted. */
  readonly refusal: Refusal | null
  /** The secret that made the signature; null for none of those tried. */
  readonly secret: S | null
  /** How many seconds the sender's clock is ahead; null without a timestamp. */
  readonly skew: number | null
  /** Sentences without a full stop. */
  readonly findings: readonly string[]
}

/** A signature read without regard to its age, and its age. */
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

/** Checks a webhook against the secrets of its integration, and looks for the reason when none made the signature. */
export function judge<S extends { readonly value: Secret }>(
  { webhooks }: Pick<Platform, 'webhooks'>,
  { config, secrets }: { readonly config: Parameters<typeof schemeOf>[1]; readonly secrets: readonly S[] },
  { captured, now }: Capture,
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
  if (match && stale) return verdict('stale', match, ...when, 'the signature is valid')
  if (match) return verdict(null, match)
  for (const { how, body } of unaltered(captured.body)) {
    const altered = madeBy(signature, secrets, body)
    if (altered)
      return verdict('body_altered', altered, `the body was altered: the signature matches the body ${how}`, ...when)
  }
  for (const other of webhooks.schemes.filter(({ id }) => id !== scheme.id)) {
    const otherwise = timeless(other, captured, now)
    const secret = madeBy(otherwise.signature, secrets, captured.body)
    if (secret)
      return {
        ...verdict('other_scheme', secret),
        skew: otherwise.skew,
        findings: [
          `the request is signed by the scheme ${other.id} (${other.header}), but the config of the integration says ${scheme.id} (${scheme.header})`,
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
      : 'no secret of the integration made the signature, with the body as it is or with common alterations undone',
    ...when,
    ...lengthFinding(captured),
  )
}

/** The secret of another integration that made the signature of a webhook. */
export const madeByOther = <S extends { readonly value: Secret }>(
  scheme: SignatureScheme,
  { captured, now }: Capture,
  secrets: readonly S[],
): S | undefined => madeBy(timeless(scheme, captured, now).signature, secrets, captured.body)

function age({ timestamp }: SignatureScheme, skew: number | null, stale: boolean): string[] {
  if (!stale || skew === null || !timestamp) return []
  const seconds = Math.abs(skew)
  return [
    `the timestamp is ${seconds} seconds ${skew < 0 ? 'old' : 'in the future'}; the tolerance is ${timestamp.toleranceSeconds} seconds`,
  ]
}

function unreadable(
  { header, prefix, timestamp }: SignatureScheme,
  signature: Signature & { readable: false },
  { headers }: CapturedRequest,
): [Refusal, null, ...string[]] {
  const count = headers.filter(([name]) => name === signature.header).length
  if (count > 1) return ['duplicated_header', null, `the request has the header ${signature.header} ${count} times`]
  if (signature.why === 'missing') return ['missing_header', null, `the request has no header ${signature.header}`]
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
    : [`the body has ${body.length} bytes, which is not what Content-Length says`]
}
