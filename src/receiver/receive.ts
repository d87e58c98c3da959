/** The way of a request: from its bytes to its outcome. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LimitFunction } from 'p-limit'
import { badInput, is } from '../errors.ts'
import { disableRevoked } from '../operations/integrations/set-active.ts'
import type { ParsedWebhook, Platform } from '../platforms/platform.ts'
import type { Store } from '../store/store.ts'
import type { Duplicates } from './duplicates.ts'
import type { AppSigners } from './lookup/app-signers.ts'
import type { LookupCache } from './lookup/cache.ts'
import { addressKeys, type LookupKey, lookupKeys } from './lookup/keys.ts'
import type { LookupResult } from './lookup/secrets.ts'
import {
  findMatch,
  type Match,
  type MatchedEntry,
  matchRemembered,
  type SignedRequest,
  signaturesOf,
  unreadable,
} from './match.ts'
import { handled, ignored, type Outcome, type Rejected, rejected } from './outcome.ts'
import type { Refusals } from './refusals.ts'
import type { BodyBudget, BodyPlace } from './request/body-budget.ts'
import { type IncomingRequest, isBytes, normalized, type ReadBody, ReadRequest, readBody } from './request/request.ts'
import type { UsageRecorder } from './usage.ts'

/** How large a body may be that is not signed. */
const maxUnsignedBytes = 4096

/** How large a body may be that is read before its integration is looked up, where the address names it. */
const maxStrangersBytes = 65_536

/** How large a body may be that no integration of its tenant has signed. */
const maxUnclaimedBytes = 65_536

/**
 * A refusal comes when a multiple of this time has passed since the body was there, in milliseconds, and a random part of
 * `refusalJitterMs` more, which hides by how much of a millisecond timers are late after more work: strangers are not to
 * learn by the time which tenants have an integration.
 */
const refusalStepMs = 100
const refusalJitterMs = 20

/** What receiving works with. */
export interface Parts {
  readonly store: Store
  readonly cache: LookupCache
  readonly usage: UsageRecorder
  readonly refusals: Refusals
  readonly bodies: BodyBudget
  /** Undated requests that came before. */
  readonly duplicates: Duplicates
  /** Reads one request at a time that no integration of its tenant has signed. */
  readonly unclaimed: LimitFunction
  /** Whose secret an app signs with. */
  readonly signers: AppSigners
  readonly onError: (error: unknown) => void
}

/** A request; `integrationId`: the integration that it is for, where the platform does not say. */
interface Sent {
  readonly platform: Platform
  readonly incoming: IncomingRequest
  readonly integrationId: string | undefined
}

/** A request that is being received. */
interface Received extends Sent {
  /** Which integrations it says it is for, as soon as that is read. */
  keys: readonly LookupKey[]
}

/** Receives a webhook of a platform. */
export async function receive(parts: Parts, sent: Sent): Promise<Outcome> {
  const received: Received = { ...sent, keys: [] }
  const place = parts.bodies.open(`${sent.platform.id} ${sent.integrationId ?? ''}`)
  let outcome: Outcome
  try {
    outcome = await receiveWithin(parts, received, place)
  } catch (error) {
    parts.onError(error)
    outcome = rejected(503, 'unavailable')
  } finally {
    place.close()
  }
  if (outcome.kind !== 'rejected') return outcome
  // What cannot be checked now is to be sent again.
  if (outcome.status !== 503) parts.refusals.note(parts.cache, { ...received, reason: outcome.reason })
  if (place.completedAt !== undefined) await endOfStep(place.completedAt)
  return outcome
}

async function endOfStep(from: number): Promise<void> {
  const steps = Math.ceil((performance.now() - from) / refusalStepMs)
  const end = from + steps * refusalStepMs + Math.random() * refusalJitterMs
  // A timer may be early by the time that was worked before it was set.
  for (let left = end - performance.now(); left > 0; left = end - performance.now()) await sleep(Math.ceil(left))
}

async function receiveWithin(parts: Parts, received: Received, place: BodyPlace): Promise<Outcome> {
  const { platform, integrationId } = received
  const incoming = normalized(received.incoming)
  const arrivedAt = performance.now()
  const { webhooks } = platform
  const signatures = signaturesOf(incoming)
  const each = webhooks.schemes.map(signatures)
  // For a request that no secret can match, nothing is looked up, and little of it is read.
  const hopeless = each.every(({ readable }) => !readable)
  if (!hopeless && !webhooks.tenant && mayBeLarge(incoming)) {
    const refusal = await refuseUnknown(parts, { platform, keys: addressKeys(platform, integrationId) }, arrivedAt)
    if (refusal) return refusal
  }
  const read = await readBody(incoming, hopeless ? maxUnsignedBytes : webhooks.maxBodyBytes, place)
  if (read.kind !== 'whole') {
    if (!webhooks.tenant && read.kind !== 'broken') received.keys = addressKeys(platform, integrationId)
    return withoutBody(parts, read.kind, hopeless ? unreadable(each) : undefined)
  }
  place.complete()
  const { body } = read
  const request = new ReadRequest(incoming, body)
  const unsigned = body.length > maxUnsignedBytes ? undefined : webhooks.unsigned?.(request)
  if (unsigned !== undefined) return handled(unsigned)
  const { keys, app } = lookupKeys(platform, request, integrationId)
  received.keys = keys
  if (hopeless) return unreadable(each)
  if (keys.length === 0) return rejected(401, 'unknown_integration')
  const signed = { platform, request, body, signatures, keys, app, arrivedAt }
  const match = await findMatch(parts.cache, signed)
  if (match.kind === 'match') return accept(parts, signed, match)
  if (!(await parts.cache.turn(keys, body.length))) return rejected(503, 'unavailable')
  const mayBeSigned = match.reason === 'signature_mismatch' || match.reason === 'unknown_integration'
  if (mayBeSigned && (await hasStrays(parts.cache, platform))) return rejected(503, 'unavailable')
  const isUnclaimed = webhooks.tenant !== undefined && match.status === 401
  return isUnclaimed && keys[0]?.kind === 'match' ? readUnclaimed(parts, signed, match) : match
}

/** The outcome for a body that cannot be had. @param hopeless the outcome for a request that no secret can match */
function withoutBody(
  { onError }: Parts,
  kind: Exclude<ReadBody['kind'], 'whole'>,
  hopeless: Rejected | undefined,
): Rejected {
  // A sender that breaks off gets no answer any more.
  if (kind === 'broken') return rejected(400, 'malformed')
  if (kind === 'displaced') return rejected(503, 'unavailable')
  if (hopeless) return hopeless
  if (kind === 'too_large') return rejected(413, 'too_large')
  onError(
    badInput(
      'the body of the request was read before the receiver got the request, so the signature cannot be checked',
      'put the route before what reads the body, as docs/frameworks.md shows, or pass the bytes or a clone of the request',
    ),
  )
  return rejected(500, 'body_consumed')
}

/** Whether a body may take so much memory that its integration is looked up first, where the address names it. */
function mayBeLarge({ headers, body }: IncomingRequest): boolean {
  const length = isBytes(body) ? Buffer.byteLength(body) : headers.get('content-length')
  return length === null || !(Number(length) <= maxStrangersBytes)
}

/** Refuses a request for an unknown integration, before its body is read. */
async function refuseUnknown(
  { cache }: Parts,
  { platform, keys }: { platform: Platform; keys: readonly LookupKey[] },
  arrivedAt: number,
): Promise<Outcome | undefined> {
  for (const find of [
    (key: LookupKey) => cache.find(key, 0),
    // The integration may have been added since.
    (key: LookupKey) => cache.findSince(key, 0, arrivedAt),
  ]) {
    const results = await Promise.all(keys.map(find))
    if (results.includes(undefined)) return rejected(503, 'unavailable')
    if (results.some((result) => result && isFor(platform, result))) return undefined
  }
  return (await hasStrays(cache, platform)) ? rejected(503, 'unavailable') : rejected(401, 'unknown_integration')
}

/** Whether rows of a platform are there that no request finds, because what names them cannot be read. */
async function hasStrays(cache: LookupCache, { id }: Platform): Promise<boolean> {
  const found = await cache.find({ kind: 'strays', platform: id }, 0)
  return found?.keyMissing ?? true
}

const isFor = ({ id }: Platform, { entries, keyMissing }: LookupResult) =>
  keyMissing || entries.some(({ integration }) => integration.platform === id)

/**
 * A request that no integration of its tenant has signed. An app that is installed in many workspaces receives such
 * requests too, and a platform that sees them refused stops sending to all of the workspaces. So they are accepted and
 * ignored where the signature is that of a secret of the platform. Strangers must not learn which tenants have an
 * integration, so it is the same for those that have one.
 */
async function readUnclaimed(parts: Parts, signed: SignedRequest, refusal: Rejected): Promise<Outcome> {
  // Strangers can ask for this with a body of their own, so it costs little: one at a time, and small.
  if (signed.body.length > maxUnclaimedBytes || parts.unclaimed.activeCount > 0) return rejected(503, 'unavailable')
  const known = parts.signers.keys(signed)
  const keys: LookupKey[] = [...known, { kind: 'platform', platform: signed.platform.id }]
  const signer = await parts.unclaimed(() => matchRemembered(parts.cache, { ...signed, keys }))
  if (signer === 'unknown') return rejected(503, 'unavailable')
  if (!signer) return refusal
  parts.signers.learn(signed, signer.holders)
  // The secret may have become that of the tenant between the two readings.
  const match = await findMatch(parts.cache, { ...signed, arrivedAt: signer.startedAt })
  if (match.kind === 'match') return accept(parts, signed, match)
  // A tenant whose secret is being replaced may get an event that is signed with the next one: it is to be sent again.
  return match.reason === 'unknown_integration' ? ignored('unclaimed') : match
}

/** An integration that a request may be for, and what the request is to it. */
type Candidate = MatchedEntry & { readonly parsed: ParsedWebhook }

/** Decides what to do about a request whose signature is valid. */
async function accept(
  parts: Parts,
  signed: SignedRequest,
  { matched, digest, at, othersUnknown }: Match,
): Promise<Outcome> {
  const { platform, request, keys } = signed
  const candidates = matched.map(
    (one): Candidate => ({ ...one, parsed: platform.webhooks.read(request, one.entry.integration) }),
  )
  const parsed = candidates[0]?.parsed
  if (!parsed || parsed.kind === 'malformed') return rejected(400, 'malformed')
  if (parsed.kind === 'answer') return handled(parsed.reason, parsed.body)
  // Several tenants may share the secret, so it does not name one either.
  if (keys.some(({ kind }) => kind === 'platform')) return rejected(401, 'unknown_integration')
  parts.signers.learn(signed, matched)
  for (const candidate of candidates) parts.usage.matched(candidate, at)
  const seen = digest === null ? [] : candidates.map(({ entry }) => ({ integrationId: entry.integration.id, digest }))
  if (parts.duplicates.remember(seen)) return ignored('duplicate')
  const forget = () => parts.duplicates.forget(seen)
  const current = await disable(parts, candidates).catch((error: unknown) => {
    // The platform is to send the request again.
    forget()
    throw error
  })
  if (current.length === 0) return ignored('outdated')
  const active = current.filter(({ entry }) => entry.integration.isActive)
  if (active.length === 0) {
    // The one that is active may be the one that cannot be read.
    if (!othersUnknown && !(await hasStrays(parts.cache, platform))) return ignored('inactive')
    forget()
    return rejected(503, 'unavailable')
  }
  const reasons = active.map(({ parsed }) => (parsed.kind === 'event' ? parsed.unwanted : null))
  const [chosen, ...others] = active.filter(({ parsed }) => parsed.kind === 'event' && parsed.unwanted === null)
  if (chosen?.parsed.kind !== 'event') return ignored(reasons.find((reason) => reason !== null) ?? 'event')
  return {
    kind: 'event',
    status: 200,
    body: '',
    integration: chosen.entry.integration,
    others: others.map(({ entry }) => entry.integration),
    event: chosen.parsed.event,
    version: chosen.secret.number,
    usedPreviousSecret: chosen.secret.validUntil !== null,
    forget,
  }
}

/**
 * Disables integrations whose credentials the platform has revoked.
 *
 * @returns the candidates, without those that were connected again since
 */
async function disable({ store, onError }: Parts, candidates: readonly Candidate[]): Promise<Candidate[]> {
  const current: Candidate[] = []
  for (const candidate of candidates) {
    const { entry, parsed } = candidate
    try {
      // Also where it is inactive as far as is remembered: it may have been activated since.
      if (parsed.kind !== 'event' || !parsed.revoked) current.push(candidate)
      else if (await disableRevoked(store, entry.integration.id, parsed.revoked.at)) current.push(candidate)
    } catch (error) {
      // A role that lacks the permission is not helped by another try, nor is a database that can only be read.
      if (!is(error, 'NOT_PERMITTED', 'DATABASE_READ_ONLY', 'NOT_FOUND')) throw error
      onError(error)
      current.push(candidate)
    }
  }
  return current
}
