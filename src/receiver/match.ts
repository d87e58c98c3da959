import { type Platform, schemeOf, type WebhookRequest } from '../platforms/platform.ts'
import { matches, readSignature, type Signature, type SignatureScheme } from '../platforms/signature.ts'
import type { ValidSecret } from '../store/valid-secrets.ts'
import { type Outcome, refused } from './outcome.ts'
import type { findRecipients, Known, Recipient, Wanted } from './recipients.ts'

/** Whose secret a request was signed with. */
export interface Match {
  readonly matched: readonly { readonly recipient: Recipient; readonly secret: ValidSecret }[]
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
  return refused(401, `signature_${why}`)
}

/**
 * Finds the secret that a request was signed with: among those that are known, then among those that are stored.
 *
 * @param arrived when the request did, on this process's own clock (`performance.now()`)
 * @throws what the store throws
 */
export async function findMatch(
  recipients: ReturnType<typeof findRecipients>,
  platform: Platform,
  request: WebhookRequest,
  signatures: Signatures,
  wanted: readonly Wanted[],
  arrived: number,
): Promise<Match | Outcome> {
  const known = await Promise.all(wanted.map((one) => recipients.find(one)))
  const match = tryAll(platform, request, signatures, known)
  if (match) return match
  // The secret may have been replaced since.
  const anew = await Promise.all(wanted.map((one) => recipients.findSince(one, arrived)))
  const read = anew.filter((one) => one !== undefined)
  if (read.length < anew.length) return refused(503, 'unavailable')
  const second = tryAll(platform, request, signatures, read)
  if (second) return second
  // The right secret may be the one that cannot be opened here yet: it is to come again.
  if (read.some(({ locked }) => locked)) return refused(503, 'unavailable')
  const found = read.flatMap((one) => one.recipients).filter(({ integration }) => integration.platform === platform.id)
  if (found.length === 0) return refused(401, 'unknown_integration')
  const schemes = new Set(found.map(({ integration }) => schemeOf(platform.webhooks, integration.config)))
  const tried = [...schemes].map(signatures)
  return tried.some(({ readable }) => readable) ? refused(401, 'signature_mismatch') : unreadable(tried)
}

/** Tries each secret once, current ones first. */
function tryAll(
  platform: Platform,
  request: WebhookRequest,
  signatures: Signatures,
  known: readonly Known[],
): Match | undefined {
  const holders = new Map<string, { signature: Signature; matched: { recipient: Recipient; secret: ValidSecret }[] }>()
  const schemes = new Map<SignatureScheme, number>()
  let at = Date.now()
  for (const current of [true, false])
    for (const { recipients, ahead } of known)
      for (const recipient of recipients) {
        if (recipient.integration.platform !== platform.id) continue
        const scheme = schemeOf(platform.webhooks, recipient.integration.config)
        if (!schemes.has(scheme)) schemes.set(scheme, schemes.size)
        for (const secret of recipient.secrets) {
          at = Date.now() + ahead
          if ((secret.validUntil === null) !== current) continue
          if (secret.validUntil !== null && Date.parse(secret.validUntil) <= at) continue
          const key = `${schemes.get(scheme)} ${secret.value.reveal()}`
          const same = holders.get(key) ?? { signature: signatures(scheme), matched: [] }
          holders.set(key, same)
          if (!same.matched.some((other) => other.recipient.integration.id === recipient.integration.id))
            same.matched.push({ recipient, secret })
        }
      }
  for (const { signature, matched } of holders.values()) {
    const [first] = matched
    if (!first || !signature.readable || !matches(signature, first.secret.value, request.body)) continue
    return { matched, digest: signature.skew === null ? signature.digest.toString('hex') : null, at: new Date(at) }
  }
  return undefined
}
