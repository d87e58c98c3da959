import { type Platform, schemeOf } from '../../platforms/platform.ts'
import { mistakeIn } from '../../platforms/secret-mistakes.ts'
import { matches, readSignature, type Signature, type SignatureScheme } from '../../platforms/signature.ts'
import type { Secret } from '../../secret.ts'
import { unaltered } from './altered-bodies.ts'
import { meant } from './altered-secrets.ts'
import { lossIn } from './lost-characters.ts'
import { type CapturedRequest, headersOf } from './raw-request.ts'

/** Why a webhook is not accepted. */
export type Refusal =
  | 'missing_header'
  | 'malformed_header'
  | 'duplicated_header'
  | 'stale'
  /** Undoing a known alteration of the body makes the signature fit. */
  | 'body_altered'
  /** No secret made the signature, and the body shows signs of an alteration that cannot be undone. */
  | 'body_suspect'
  | 'malformed_body'
  | 'other_scheme'
  | 'other_integration'
  /** The stored secret is not quite the one that the platform has, as with quotes around it. */
  | 'secret_altered'
  | 'wrong_secret'
  | 'no_secret'

/** A captured webhook, and the time at which it came, in milliseconds since 1970. */
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
  /** The secret that made the signature, or whose value is nearly the one that did; null for none of those tried. */
  readonly secret: S | null
  /** How many seconds the sender's clock is ahead; null without a timestamp. */
  readonly skew: number | null
  /** Sentences without a full stop. */
  readonly findings: readonly string[]
  /** The setting of the config with which the webhook would be accepted, as `config set` takes it. */
  readonly setting?: string
}

/** How much is hashed to find an alteration: seconds of work, and thousands of tries for a usual body. */
const maxTriedBytes = 64 * 1_048_576

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
  for (const other of webhooks.schemes.filter(({ id }) => id !== scheme.id)) {
    const otherwise = timeless(other, captured, now)
    const secret = madeBy(otherwise.signature, secrets, captured.body)
    if (secret)
      return {
        ...verdict('other_scheme', secret),
        skew: otherwise.skew,
        setting: `${webhooks.schemeKey}=${other.id}`,
        findings: [
          `the request is signed by the scheme ${other.id} (${other.header}), but the config of the integration says ${scheme.id} (${scheme.header})`,
          ...age(other, otherwise.skew, otherwise.stale),
        ],
      }
  }
  if (!signature.readable) return verdict(...unreadable(scheme, signature, captured))
  if (secrets.length === 0) return verdict('no_secret', null, 'the integration has no webhook secret', ...when)
  for (const { stored, how, value } of meant(secrets))
    if (matches(signature, value, captured.body))
      return verdict('secret_altered', stored, `the request is signed with the stored secret ${how}`, ...when)
  let tried = 0
  for (const { how, body } of unaltered(captured.body)) {
    tried += body.length
    if (tried > maxTriedBytes) break
    const altered = madeBy(signature, secrets, body)
    if (altered)
      return verdict('body_altered', altered, `the body was altered: the signature matches the body ${how}`, ...when)
  }
  const suspicions = suspicionsOf(captured)
  return verdict(
    suspicions.length > 0 ? 'body_suspect' : 'wrong_secret',
    null,
    'no secret of the integration made the signature, with the body as it is or with common alterations undone',
    ...suspicions,
    ...secrets.flatMap(({ value }) => mistakeFinding(value)),
    ...when,
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

/** Signs of an alteration that cannot be undone. */
function suspicionsOf({ headers, body }: CapturedRequest): string[] {
  const header = (name: string) => headers.find(([one]) => one === name)?.[1]
  const [length, encoding] = [header('content-length'), header('content-encoding')]
  const lost = lossIn(body)
  return [
    ...(length === undefined || Number(length) === body.length
      ? []
      : [`the body has ${body.length} bytes, which is not what Content-Length says`]),
    ...(encoding === undefined || encoding === 'identity'
      ? []
      : ['the request has a Content-Encoding, and the signature may cover the body before a program decompressed it']),
    ...(lost === undefined ? [] : [lost]),
  ]
}

function mistakeFinding(value: Secret): string[] {
  const mistake = mistakeIn(value.reveal())
  return mistake === undefined ? [] : [`the stored webhook secret ${mistake}`]
}
