import { type Platform, schemeOf, type WebhookRequest } from '../platforms/platform.ts'
import { matches, readSignature, type Signature, type SignatureScheme } from '../platforms/signature.ts'
import type { ValidSecret } from '../store/secrets/accepted.ts'
import { type CacheEntry, type createLookup, type LookupKey, type LookupResult, mostTried } from './cache.ts'
import { type Outcome, rejected } from './outcome.ts'

/** Whose secret a request was signed with. */
export interface Match {
  readonly matched: readonly { readonly recipient: CacheEntry; readonly secret: ValidSecret }[]
  /** Tells the request from others, where it does not say when it was sent. */
  readonly digest: string | null
  /** When, by the database's clock. */
  readonly at: Date
}

/** A request's signature, by a scheme. */
export type Signatures = (scheme: SignatureScheme) => Signature

/** Reads a request's signature by a scheme, once. */
export function signaturesOf(request: Pick<WebhookRequest, 'headers'>): Signatures {
  const now = Date.now()
  const read = new Map<SignatureScheme, Signature>()
  return (scheme) => {
    const known = read.get(scheme) ?? readSignature(scheme, request, now)
    read.set(scheme, known)
    return known
  }
}

/** The refusal for signatures that cannot be checked: the most telling of several. */
export function unreadable(signatures: readonly Signature[]): Outcome {
  const whys = signatures.flatMap((signature) => (signature.readable ? [] : [signature.why]))
  const why = (['stale', 'malformed', 'missing'] as const).find((one) => whys.includes(one)) ?? 'missing'
  return rejected(401, `signature_${why}`)
}

/**
 * Finds the secret that a request was signed with: among those that are known, then among those that are stored.
 *
 * @param arrived when the request did, on this process's own clock (`performance.now()`)
 * @throws what the store throws
 */
export async function findMatch(
  recipients: ReturnType<typeof createLookup>,
  platform: Platform,
  request: WebhookRequest,
  signatures: Signatures,
  wanted: readonly LookupKey[],
  arrived: number,
): Promise<Match | Outcome> {
  const { length } = request.body
  const tried = new Set<string>()
  const attempt = async (find: (one: LookupKey) => Promise<LookupResult | undefined>) => {
    const found = await Promise.all(wanted.map(find))
    const known = found.filter((one) => one !== undefined)
    if (known.length < found.length) return undefined
    const { match, more } = tryAll(platform, request, signatures, known, tried)
    if (match) recipients.vouch(wanted)
    return { match, more, known }
  }
  const first = await attempt((one) => recipients.find(one, length))
  if (first?.match) return first.match
  // The secret may have been replaced since.
  const second = first && (await attempt((one) => recipients.findSince(one, length, arrived)))
  if (!second) return rejected(503, 'unavailable')
  if (second.match) return second.match
  const { known, more } = second
  // The right secret may be the one that cannot be opened here yet: it is to come again.
  if (known.some(({ locked }) => locked)) return rejected(503, 'unavailable')
  if (more) return rejected(503, 'too_many')
  const found = known.flatMap((one) => one.recipients).filter(({ integration }) => integration.platform === platform.id)
  if (found.length === 0) return rejected(401, 'unknown_integration')
  const schemes = new Set(found.map(({ integration }) => schemeOf(platform.webhooks, integration.config)))
  const each = [...schemes].map(signatures)
  return each.some(({ readable }) => readable) ? rejected(401, 'signature_mismatch') : unreadable(each)
}

interface Holders {
  readonly signature: Signature
  readonly matched: Map<string, Match['matched'][number]>
}

/**
 * Tries each secret once, current ones first.
 *
 * @param tried the secrets that were tried before, which are not tried again
 * @returns `more`: not all that are known were tried
 */
function tryAll(
  platform: Platform,
  request: WebhookRequest,
  signatures: Signatures,
  known: readonly LookupResult[],
  tried: Set<string>,
): { readonly match?: Match; readonly more: boolean } {
  const secrets = new Map<string, Holders>()
  let more = known.some((one) => one.more)
  let at = Date.now()
  for (const current of [true, false])
    for (const { recipients, ahead } of known)
      for (const recipient of recipients) {
        if (recipient.integration.platform !== platform.id) continue
        const scheme = schemeOf(platform.webhooks, recipient.integration.config)
        for (const secret of recipient.secrets) {
          at = Date.now() + ahead
          if ((secret.validUntil === null) !== current) continue
          if (secret.validUntil !== null && Date.parse(secret.validUntil) <= at) continue
          const key = `${scheme.id} ${secret.value.reveal()}`
          const holders: Holders = secrets.get(key) ?? { signature: signatures(scheme), matched: new Map() }
          if (!secrets.has(key) && secrets.size === mostTried) more = true
          else secrets.set(key, holders)
          const { id } = recipient.integration
          if (!holders.matched.has(id)) holders.matched.set(id, { recipient, secret })
        }
      }
  for (const [key, { signature, matched }] of secrets) {
    const [one] = matched.values()
    if (!one || tried.has(key)) continue
    tried.add(key)
    if (!signature.readable || !matches(signature, one.secret.value, request.body)) continue
    const digest = signature.skew === null ? signature.digest.toString('hex') : null
    return { match: { matched: [...matched.values()], digest, at: new Date(at) }, more }
  }
  return { more }
}
