import { createHmac, timingSafeEqual } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Secret } from '../secret.ts'

/** How much is hashed at once, which takes a few milliseconds at most. */
const hashedAtOnceBytes = 1_048_576

/**
 * How a platform signs a webhook: HMAC-SHA256 (RFC 2104) with the secret as its key, as lower-case hex, over the body or
 * over a timestamp and the body.
 */
export interface SignatureScheme {
  /** Its name among a platform's schemes. */
  readonly id: string
  /** The header that holds the signature, and the text before the hex digits. */
  readonly header: string
  readonly prefix: string
  /** Absent for a platform that does not sign a time, so that a replay cannot be detected. */
  readonly timestamp?: {
    /** The header that holds seconds since 1970. */
    readonly header: string
    /** The greatest difference from now, in both directions. */
    readonly toleranceSeconds: number
    /** The text that is signed before the body. */
    readonly before: (timestamp: string) => string
  }
  /** Other headers that a sender adds. */
  readonly also?: { readonly [header: string]: string }
}

/** A signed request; headers as the web's `Headers` gives them, which joins repeated headers. */
export interface SignedRequest {
  readonly headers: { get(name: string): string | null }
  readonly body: Uint8Array
}

/** The signature of a request, before it is compared with any secret. */
export type Signature =
  | {
      readonly readable: true
      readonly digest: Buffer
      /** The text that is signed before the body. */
      readonly before: string
      /** The seconds by which the sender's clock is ahead of ours; null without a timestamp. */
      readonly skew: number | null
    }
  | {
      readonly readable: false
      /** `missing`: a header is absent; `malformed`: a header has another form; `stale`: too old, or from the future. */
      readonly why: 'missing' | 'malformed' | 'stale'
      readonly header: string
      readonly skew: number | null
    }

/** Reads the signature of a request. @param now in milliseconds since 1970 */
export function readSignature(
  scheme: SignatureScheme,
  { headers }: Pick<SignedRequest, 'headers'>,
  now: number,
): Signature {
  const { header, prefix, timestamp } = scheme
  const unreadable = (why: 'missing' | 'malformed' | 'stale', header: string, skew: number | null = null) =>
    ({ readable: false, why, header, skew }) as const
  const text = headers.get(header)
  if (text === null) return unreadable('missing', header)
  const digits = text.startsWith(prefix) ? text.slice(prefix.length) : ''
  if (!/^[0-9a-f]{64}$/.test(digits)) return unreadable('malformed', header)
  const digest = Buffer.from(digits, 'hex')
  if (!timestamp) return { readable: true, digest, before: '', skew: null }
  const at = headers.get(timestamp.header)
  if (at === null) return unreadable('missing', timestamp.header)
  if (!/^\d{1,12}$/.test(at)) return unreadable('malformed', timestamp.header)
  const skew = Number(at) - Math.floor(now / 1000)
  if (Math.abs(skew) > timestamp.toleranceSeconds) return unreadable('stale', timestamp.header, skew)
  return { readable: true, digest, before: timestamp.before(at), skew }
}

/** Whether a signature was made with a secret, compared in constant time. */
export const matches = (signature: Signature & { readable: true }, secret: Secret, body: Uint8Array): boolean =>
  timingSafeEqual(hmac(secret, signature.before, body), signature.digest)

/** The same for a body in pieces. Other work has its turn while a large body is hashed. */
export async function matchesInTurns(
  signature: Signature & { readable: true },
  secret: Secret,
  pieces: readonly Uint8Array[],
): Promise<boolean> {
  const hash = createHmac('sha256', secret.reveal()).update(signature.before)
  let bytes = 0
  for (const piece of pieces)
    for (let from = 0; from < piece.length; from += hashedAtOnceBytes) {
      const part = piece.subarray(from, from + hashedAtOnceBytes)
      hash.update(part)
      bytes += part.length
      if (bytes < hashedAtOnceBytes) continue
      bytes = 0
      await setImmediate()
    }
  return timingSafeEqual(hash.digest(), signature.digest)
}

/** The headers that a platform would send with a body; `now` is in milliseconds since 1970. */
export function signedHeaders(
  { header, prefix, timestamp, also }: SignatureScheme,
  { secret, body, now }: { readonly secret: Secret; readonly body: Uint8Array; readonly now: number },
): { readonly [header: string]: string } {
  const at = String(Math.floor(now / 1000))
  return {
    ...also,
    ...(timestamp ? { [timestamp.header]: at } : {}),
    [header]: `${prefix}${hmac(secret, timestamp?.before(at) ?? '', body).toString('hex')}`,
  }
}

const hmac = (secret: Secret, before: string, body: Uint8Array): Buffer =>
  createHmac('sha256', secret.reveal()).update(before).update(body).digest()
