import { is } from '../errors.ts'
import { isStorable } from '../integration.ts'
import { setActive } from '../operations/integrations/set-active.ts'
import type { ParsedWebhook, Platform, WebhookRequest } from '../platforms/platform.ts'
import type { ValidSecret } from '../store/secrets/accepted.ts'
import type { Store } from '../store/store.ts'
import type { CacheEntry, createLookup, LookupKey } from './cache.ts'
import type { createDuplicateFilter } from './duplicates.ts'
import { findMatch, type Match, signaturesOf, unreadable } from './match.ts'
import { type IgnoreReason, ignored, type Outcome, rejected } from './outcome.ts'
import { type IncomingRequest, readBody } from './request.ts'
import type { createUsageRecorder } from './usage.ts'

/** How large a body may be that is not signed, in bytes. */
const largestUnsigned = 4096

/** How large a body may be that does not say whose it is, in bytes. */
const largestAnonymous = 16_384

/** What receiving works with. */
export interface Parts {
  readonly store: Store
  readonly recipients: ReturnType<typeof createLookup>
  readonly uses: ReturnType<typeof createUsageRecorder>
  readonly duplicates: ReturnType<typeof createDuplicateFilter>
  readonly problem: (error: unknown) => void
}

/** Receives a webhook of a platform. @param integrationId whose it is, where the platform does not say */
export async function receive(
  parts: Parts,
  platform: Platform,
  incoming: IncomingRequest,
  integrationId: string | undefined,
): Promise<Outcome> {
  const arrived = performance.now()
  const { webhooks } = platform
  const signatures = signaturesOf(incoming)
  const each = webhooks.schemes.map(signatures)
  // Nobody is looked up for a request that no secret can match, and little of it is read.
  const hopeless = each.every(({ readable }) => !readable)
  // Who breaks off while sending gets no answer any more.
  const body = await readBody(incoming, hopeless ? largestUnsigned : webhooks.largestBody).catch(() => null)
  if (body === null) return rejected(400, 'malformed')
  if (!body) return hopeless ? unreadable(each) : rejected(413, 'too_large')
  const request = { headers: incoming.headers, body }
  const unsigned = body.length > largestUnsigned ? undefined : webhooks.unsigned?.(request)
  if (unsigned !== undefined) return ignored('answered', unsigned)
  if (hopeless) return unreadable(each)
  const wanted = whoseIsIt(platform, request, integrationId)
  if (wanted.length === 0) return rejected(401, 'unknown_integration')
  try {
    const match = await findMatch(parts.recipients, platform, request, signatures, wanted, arrived)
    return 'ok' in match
      ? match
      : await accept(parts, platform, request, match, 'secretsOf' in (wanted[0] as LookupKey))
  } catch (error) {
    parts.problem(error)
    return rejected(503, 'unavailable')
  }
}

function whoseIsIt(
  { id, webhooks: { tenant } }: Platform,
  request: WebhookRequest,
  integrationId: string | undefined,
): LookupKey[] {
  if (!tenant) return integrationId === undefined || !valid(integrationId) ? [] : [{ id: integrationId }]
  const claimed = tenant.claimed(request)
  // Many secrets are tried for it, so it has to be as small as what platforms try an endpoint with.
  if (claimed.length === 0) return request.body.length > largestAnonymous ? [] : [{ secretsOf: id }]
  return claimed.filter(valid).map((value) => ({ platform: id, column: tenant.column, value }))
}

// PostgreSQL takes neither, so nothing stored can be meant.
const valid = (id: string) => isStorable(id) && id.length <= 200

type Wish = { readonly recipient: CacheEntry; readonly secret: ValidSecret; readonly reading: ParsedWebhook }

/** What to make of a request whose signature holds. @param anonymous nothing in it says whose it is */
async function accept(
  parts: Parts,
  platform: Platform,
  request: WebhookRequest,
  { matched, digest, at }: Match,
  anonymous: boolean,
): Promise<Outcome> {
  const wishes = matched.map(
    ({ recipient, secret }): Wish => ({
      recipient,
      secret,
      reading: platform.webhooks.read(request, recipient.integration),
    }),
  )
  const [first] = wishes as [Wish, ...Wish[]]
  if (first.reading.kind === 'malformed') return rejected(400, 'malformed')
  if (first.reading.kind === 'answer') return ignored('answered', first.reading.reason, first.reading.body)
  // The secret is one that several tenants share, so it does not say either.
  if (anonymous) return rejected(401, 'unknown_integration')
  for (const { recipient, secret } of wishes) parts.uses.matched(recipient.integration.id, secret.number, at)
  const seen = digest === null ? [] : wishes.map(({ recipient }) => `${recipient.integration.id} ${digest}`)
  if (seen.map((one) => parts.duplicates.cameBefore(one)).some((before) => before)) return ignored('duplicate')
  const forget = () => {
    for (const one of seen) parts.duplicates.forget(one)
  }
  await deactivate(parts, wishes).catch((error: unknown) => {
    // It is to come again.
    forget()
    throw error
  })
  const active = wishes.filter(({ recipient }) => recipient.integration.isActive)
  if (active.length === 0) return ignored('inactive')
  const [chosen, ...others] = active.filter(({ reading }) => reading.kind === 'event' && reading.unwanted === null)
  if (chosen?.reading.kind !== 'event') return ignored(unwanted(active))
  return {
    ok: true,
    status: 200,
    body: '',
    integration: chosen.recipient.integration,
    others: others.map(({ recipient }) => recipient.integration),
    event: chosen.reading.event,
    version: chosen.secret.number,
    previous: chosen.secret.validUntil !== null,
    forget,
  }
}

const unwanted = (wishes: readonly Wish[]): IgnoreReason =>
  wishes.map(({ reading }) => (reading.kind === 'event' ? reading.unwanted : null)).find((why) => why !== null) ??
  'event'

/** Makes those inactive whose credentials the platform has taken back. */
async function deactivate({ store, problem }: Parts, wishes: readonly Wish[]): Promise<void> {
  for (const { recipient, reading } of wishes) {
    // Whether it is active already is known as of a moment ago: it may have been made active since.
    if (reading.kind !== 'event' || !reading.revoked) continue
    try {
      await setActive(store, recipient.integration.id, false, {})
    } catch (error) {
      // A role that may not is not helped by trying again.
      if (!is(error, 'NOT_PERMITTED', 'NOT_FOUND')) throw error
      problem(error)
    }
  }
}
