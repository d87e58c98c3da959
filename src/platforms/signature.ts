import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../secret.ts'

/**
 * How a platform signs a webhook: HMAC-SHA256 (RFC 2104) with the secret as its key, as lower-case hex, over the body or
 * over a timestamp and the body.
 */
export interface SignatureScheme {
  /** Its name, where a platform has several. */
  readonly id: string
  /** The header that holds the signature, and what stands there before the hex digits. */
  readonly header: string
  readonly prefix: string
  /** Absent where nothing tells a request from the same one sent again later. */
  readonly timestamp?: {
    /** The header that holds seconds since 1970. */
    readonly header: string
    /** How far that may be from now, in seconds, both ways. */
    readonly tolerance: number
    /** What is signed before the body. */
    readonly before: (timestamp: string) => string
  }
  /** What a sender adds beside. */
  readonly also?: { readonly [header: string]: string }
}

/** What a signature is looked for in; headers as the web's `Headers` gives them, which joins repeated ones. */
export interface SignedRequest {
  readonly headers: { get(name: string): string | null }
  readonly body: Uint8Array
}

/** What a request says of its signature, before any secret is tried. */
export type Signature =
  | {
      readonly readable: true
      readonly digest: Buffer
      /** What stands before the body. */
      readonly before: string
      /** How many seconds the sender's clock is ahead of ours; null where nothing tells. */
      readonly skew: number | null
    }
  | {
      readonly readable: false
      /** `missing`: a header is not there; `malformed`: it, or one of two, is not of the form; `stale`: too old, or from the future. */
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
  if (Math.abs(skew) > timestamp.tolerance) return unreadable('stale', timestamp.header, skew)
  return { readable: true, digest, before: timestamp.before(at), skew }
}

/** Whether a secret made a signature, in a time that tells nothing of it. */
export const matches = (signature: Signature & { readable: true }, secret: Secret, body: Uint8Array): boolean =>
  timingSafeEqual(hmac(secret, signature.before, body), signature.digest)

/** The headers with which a platform would send a body. @param now in milliseconds since 1970 */
export function signedHeaders(
  { header, prefix, timestamp, also }: SignatureScheme,
  secret: Secret,
  body: Uint8Array,
  now: number,
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
