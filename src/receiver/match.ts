/** Which secret a request was signed with. @module */

import { withDeadline } from '../library/deadline.ts'
import { type Platform, schemeOf, type WebhookRequest } from '../platforms/platform.ts'
import { matchesInTurns, readSignature, type Signature, type SignatureScheme } from '../platforms/signature.ts'
import type { ValidSecret } from '../store/secrets/decrypt-accepted.ts'
import { answerMs, isAway, type LookupCache } from './lookup/cache.ts'
import { maxSecrets } from './lookup/find.ts'
import type { LookupKey } from './lookup/keys.ts'
import { type CacheEntry, databaseTime, type LookupResult } from './lookup/secrets.ts'
import { type Rejected, rejected } from './outcome.ts'
import type { Body } from './request/body.ts'

/** An integration, and its secret that a request was signed with. */
export interface MatchedEntry {
  readonly entry: CacheEntry
  readonly secret: ValidSecret
}

/** Whose secret a request was signed with. */
export interface Match {
  readonly kind: 'match'
  readonly matched: readonly MatchedEntry[]
  /** Tells the request from others, where nothing in it is dated. */
  readonly digest: string | null
  /** When it matched, by the database's clock. */
  readonly at: Date
  /** Whether another integration, or a value of it, cannot be read that the request may be for. */
  readonly othersUnknown: boolean
}

/** A request's signature, by a scheme. */
export type Signatures = (scheme: SignatureScheme) => Signature

/** Reads a request's signature by a scheme, once. */
export function signaturesOf(request: Pick<WebhookRequest, 'headers'>): Signatures {
  const now = Date.now()
  const read = new Map<SignatureScheme, Signature>()
  return (scheme) => {
    const signature = read.get(scheme) ?? readSignature(scheme, request, now)
    read.set(scheme, signature)
    return signature
  }
}

/** The outcome for signatures that cannot be checked: the most telling reason of several. */
export function unreadable(signatures: readonly Signature[]): Rejected {
  const reasons = signatures.flatMap((signature) => (signature.readable ? [] : [signature.why]))
  const reason = (['stale', 'malformed', 'missing'] as const).find((one) => reasons.includes(one)) ?? 'missing'
  return rejected(401, `signature_${reason}`)
}

/** A request whose secret is looked for. */
export interface SignedRequest {
  readonly platform: Platform
  readonly request: WebhookRequest
  /** The body of the request, in pieces. */
  readonly body: Pick<Body, 'pieces' | 'length'>
  readonly signatures: Signatures
  /** Which integrations it may be for. */
  readonly keys: readonly LookupKey[]
  /** The app that it says it was sent for. */
  readonly app?: string | undefined
  /** When it arrived, on this process's own clock (`performance.now()`). */
  readonly arrivedAt: number
}

/**
 * Finds the secret that a request was signed with: among those that are remembered, then among those that are stored.
 *
 * @throws what the store throws
 */
export async function findMatch(
  cache: Pick<LookupCache, 'find' | 'findSince' | 'promote'>,
  signed: SignedRequest,
): Promise<Match | Rejected> {
  const { platform, signatures, keys, arrivedAt } = signed
  const { length } = signed.body
  const tried = new Set<string>()
  const attempt = async (found: readonly (LookupResult | undefined)[]) => {
    const results = found.filter((result) => result !== undefined)
    if (results.length < found.length) return undefined
    const { match, truncated } = await trySecrets(signed, results, tried)
    if (match) cache.promote(keys)
    return { match, truncated, results }
  }
  const lookups = keys.map((key) => cache.find(key, length))
  // Most are remembered.
  const isWaiting = lookups.some((lookup) => lookup instanceof Promise)
  if (isWaiting && lookups.length > 1) {
    // The others may hold the right secret, so that only a match counts.
    const known = await attempt(await inTime(lookups))
    if (known?.match) return known.match
  }
  const first = await attempt(isWaiting ? await Promise.all(lookups) : (lookups as readonly LookupResult[]))
  if (first?.match) return first.match
  // The secret may have been replaced since.
  const second = first && (await attempt(await Promise.all(keys.map((key) => cache.findSince(key, length, arrivedAt)))))
  if (!second) return rejected(503, 'unavailable')
  if (second.match) return second.match
  const { results, truncated } = second
  // The right secret may be the one that cannot be decrypted here yet, so the platform is to send the request again.
  if (results.some(({ keyMissing }) => keyMissing)) return rejected(503, 'unavailable')
  if (truncated) return rejected(503, 'too_many')
  const entries = results
    .flatMap(({ entries }) => entries)
    .filter(({ integration }) => integration.platform === platform.id)
  if (entries.length === 0) return rejected(401, 'unknown_integration')
  const schemes = new Set(entries.map(({ integration }) => schemeOf(platform.webhooks, integration.config)))
  const each = [...schemes].map(signatures)
  return each.some(({ readable }) => readable) ? rejected(401, 'signature_mismatch') : unreadable(each)
}

/** How long to wait for lookups when others are there: until what is known is used instead of an answer. */
const knownMs = answerMs + 100

/** The results of lookups, without those for which the database gives no answer in time. @throws what else reading throws */
async function inTime<T>(lookups: readonly (T | Promise<T>)[]): Promise<T[]> {
  const each = lookups.map(async (lookup) => {
    try {
      return [lookup instanceof Promise ? await withDeadline(knownMs, lookup) : lookup]
    } catch (error) {
      if (!isAway(error)) throw error
      return []
    }
  })
  return (await Promise.all(each)).flat()
}

/** Whose secret a request was signed with that is not for them. */
export interface Signer extends Pick<LookupResult, 'startedAt'> {
  readonly holders: readonly MatchedEntry[]
}

/**
 * Whether a request was signed with a secret that its keys find, without a second look for secrets that were replaced
 * since.
 *
 * @returns `unknown` where not all of them can be tried
 * @throws what the store throws
 */
export async function matchRemembered(
  cache: Pick<LookupCache, 'find'>,
  signed: SignedRequest,
): Promise<Signer | 'unknown' | undefined> {
  const found = await Promise.all(signed.keys.map((key) => cache.find(key, signed.body.length)))
  const results = found.filter((result) => result !== undefined)
  const { match, truncated } = await trySecrets(signed, results, new Set())
  if (match)
    return {
      startedAt: Math.max(...results.map(({ startedAt }) => startedAt)),
      holders: match.matched,
    }
  const isUnknown = truncated || results.length < found.length || results.some(({ keyMissing }) => keyMissing)
  return isUnknown ? 'unknown' : undefined
}

/** Those that hold the same secret, by the id of their integration, and the signature to check it against. */
interface SecretCandidates {
  readonly signature: Signature
  readonly at: Date
  readonly matched: Map<string, MatchedEntry>
}

/**
 * Tries each secret once, current ones first.
 *
 * @param tried the secrets that were tried before, which are not tried again
 * @returns `truncated`: not all that are stored were tried
 */
async function trySecrets(
  { platform, body, signatures }: SignedRequest,
  results: readonly LookupResult[],
  tried: Set<string>,
): Promise<{ readonly match?: Match; readonly truncated: boolean }> {
  const valid: (MatchedEntry & { readonly scheme: SignatureScheme; readonly at: Date })[] = []
  for (const result of results) {
    const at = databaseTime(result)
    for (const entry of result.entries) {
      if (entry.integration.platform !== platform.id) continue
      const scheme = schemeOf(platform.webhooks, entry.integration.config)
      for (const secret of entry.secrets)
        if (secret.validUntil === null || Date.parse(secret.validUntil) > at.getTime())
          valid.push({ entry, secret, scheme, at })
    }
  }
  const isPrevious = ({ secret }: MatchedEntry) => Number(secret.validUntil !== null)
  const secrets = new Map<string, SecretCandidates>()
  let truncated = results.some((result) => result.truncated)
  for (const { entry, secret, scheme, at } of valid.sort((a, b) => isPrevious(a) - isPrevious(b))) {
    const key = `${scheme.id} ${secret.value.reveal()}`
    const candidates = secrets.get(key) ?? { signature: signatures(scheme), at, matched: new Map() }
    if (!secrets.has(key) && secrets.size === maxSecrets) truncated = true
    else secrets.set(key, candidates)
    const { id } = entry.integration
    if (!candidates.matched.has(id)) candidates.matched.set(id, { entry, secret })
  }
  for (const [key, { signature, at, matched }] of secrets) {
    const [first] = matched.values()
    if (!first || tried.has(key)) continue
    tried.add(key)
    if (!signature.readable || !(await matchesInTurns(signature, first.secret.value, body.pieces))) continue
    const digest = signature.skew === null ? signature.digest.toString('hex') : null
    const othersUnknown = results.some(({ keyMissing }) => keyMissing)
    return { match: { kind: 'match', matched: [...matched.values()], digest, at, othersUnknown }, truncated }
  }
  return { truncated }
}
