import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Instant } from '../../../src/brands.ts'
import { type ErrorCode, IntegrationsError } from '../../../src/errors.ts'
import type { IntegrationView } from '../../../src/integration.ts'
import type { Platform } from '../../../src/platforms/platform.ts'
import { pylon } from '../../../src/platforms/pylon.ts'
import { slack } from '../../../src/platforms/slack.ts'
import type { LookupResult } from '../../../src/receiver/lookup/secrets.ts'
import { findMatch, matchRemembered, signaturesOf } from '../../../src/receiver/match.ts'
import { Secret } from '../../../src/secret.ts'
import { fingerprint } from '../../support/brands.ts'
import { signingSecret } from '../../support/samples.ts'
import { message, slackEvent, slackHeaders } from '../../support/webhooks.ts'

const now = Date.parse('2026-11-27T12:00:00.000Z')
beforeEach(() => void vi.useFakeTimers({ now, toFake: ['Date', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const bytes = Buffer.from(slackEvent(message))
const [one, two] = [signingSecret(1), signingSecret(2)] as const
const key = { kind: 'match', match: { by: 'id', value: 'any' } } as const
const other = { kind: 'match', match: { by: 'id', value: 'other' } } as const

/** A secret of an integration: a value, and until when it is accepted, in milliseconds from now. */
type Held = readonly [id: string, value: string, untilMs?: number | undefined, more?: object]

const result = (held: readonly Held[], more: Partial<LookupResult> = {}): LookupResult => ({
  startedAt: performance.now(),
  startedAtMs: Date.now(),
  clockAheadMs: 0,
  keyMissing: false,
  truncated: false,
  entries: held.map(([id, value, untilMs, columns]) => ({
    integration: { id, platform: 'slack', config: null, ...columns } as IntegrationView,
    secrets: [
      {
        number: 1,
        fingerprint: fingerprint(`of ${id}`),
        value: new Secret(value),
        validUntil: untilMs === undefined ? null : (new Date(now + untilMs).toISOString() as Instant),
      },
    ],
  })),
  ...more,
})

/** What is signed with a secret, and looked for under keys. */
const signed = (value: string, keys: readonly (typeof key | typeof other)[] = [key], platform: Platform = slack) => {
  const headers =
    platform === slack
      ? slackHeaders(value, bytes.toString())
      : { 'x-pylon-signature': createHmac('sha256', value).update(bytes).digest('hex') }
  const request = { headers: new Headers(headers), body: bytes }
  const body = { length: bytes.length, pieces: [bytes] }
  return { platform, request, body, signatures: signaturesOf(request), keys, arrivedAt: 0 }
}

/** What came of it: the ids of those that hold the secret, or status and reason. */
async function find(
  request: ReturnType<typeof signed>,
  first: readonly (LookupResult | undefined | Error)[],
  then: readonly (LookupResult | undefined)[] = first as LookupResult[],
) {
  const promoted: unknown[] = []
  const at = (results: readonly (LookupResult | undefined | Error)[]) => async (which: unknown) => {
    const found = results[which === other ? 1 : 0]
    if (found instanceof Error) throw found
    return found
  }
  const cache = {
    find: at(first),
    findSince: at(then) as () => Promise<LookupResult | undefined>,
    promote: (keys: unknown) => void promoted.push(keys),
  }
  const outcome = await findMatch(cache, request)
  return outcome.kind === 'match'
    ? { matched: outcome.matched.map(({ entry }) => entry.integration.id), promoted: promoted.length }
    : { refused: [outcome.status, outcome.reason], promoted: promoted.length }
}

const matched = (...ids: readonly string[]) => ({ matched: ids, promoted: 1 })
const refused = (status: number, reason: string) => ({ refused: [status, reason], promoted: 0 })

test('a previous secret is accepted until its end by the clock of the database, and not a millisecond longer', async () => {
  const until = (ms: number, more: Partial<LookupResult> = {}) => find(signed(two), [result([['a', two, ms]], more)])
  expect([await until(1), await until(0), await until(-1)]).toEqual([
    matched('a'),
    refused(401, 'signature_mismatch'),
    refused(401, 'signature_mismatch'),
  ])
  expect([await until(5000, { clockAheadMs: 5000 }), await until(5001, { clockAheadMs: 5000 })]).toEqual([
    refused(401, 'signature_mismatch'),
    matched('a'),
  ])
  // Remembered for two seconds: by the clock that says more, of which one may have been set.
  const started = performance.now() - 2000
  for (const [startedAtMs, ms] of [
    [now - 2000, 0],
    [now, 2000],
    [now - 4000, 0],
  ] as const) {
    const old = { startedAt: started, startedAtMs }
    expect([startedAtMs, await until(ms + 1, old), await until(ms, old)]).toEqual([
      startedAtMs,
      matched('a'),
      refused(401, 'signature_mismatch'),
    ])
  }
})

test('all that hold the secret match, each with its current one first, and those of another platform do not', async () => {
  const results = [
    result([
      ['a', one, 60_000],
      ['b', one],
      ['c', two],
      ['d', one, undefined, { platform: 'pylon' }],
    ]),
  ]
  expect(await find(signed(one), results)).toEqual(matched('b', 'a'))
  expect(await find(signed(one), [result([['d', one, undefined, { platform: 'pylon' }]])])).toEqual(
    refused(401, 'unknown_integration'),
  )
  expect(await find(signed(one), [result([])])).toEqual(refused(401, 'unknown_integration'))
})

test('what cannot be told yet is to be sent again', async () => {
  const missing = { keyMissing: true }
  expect([
    await find(signed(one), [result([['a', two]], missing)]),
    await find(signed(one), [result([['a', one]], missing)]),
    await find(signed(one), [result([['a', two]], { truncated: true })]),
    await find(signed(one), [undefined]),
    await find(signed(one), [result([['a', two]])], [undefined]),
    await find(signed(one), [result([['a', two]])], [result([['a', one]])]),
  ]).toEqual([
    refused(503, 'unavailable'),
    matched('a'),
    refused(503, 'too_many'),
    refused(503, 'unavailable'),
    refused(503, 'unavailable'),
    matched('a'),
  ])
})

test('of several ids, what is known is enough where it matches, and all are needed where it does not', async () => {
  const failed = (code: ErrorCode) => new IntegrationsError({ code, message: code, hint: '' })
  const [away, denied] = [failed('DATABASE_BUSY'), failed('NOT_PERMITTED')]
  const both = (value: string) => signed(value, [key, other])
  expect([
    await find(both(one), [result([['a', one]]), result([['b', one]])]),
    await find(both(two), [result([['a', one]]), result([['b', two]])]),
    await find(both(one), [result([['a', one]]), undefined]),
    await find(both(two), [result([['a', one]]), undefined], [result([]), undefined]),
  ]).toEqual([matched('a', 'b'), matched('b'), refused(503, 'unavailable'), refused(503, 'unavailable')])
  expect(await find(both(one), [result([['a', one]]), away])).toEqual(matched('a'))
  await expect(find(both(two), [result([['a', one]]), away])).rejects.toBe(away)
  await expect(find(both(one), [result([['a', one]]), denied])).rejects.toBe(denied)
  await expect(find(signed(one), [away])).rejects.toBe(away)
  const missing = result([], { keyMissing: true })
  expect(await find(both(two), [result([['a', one]]), missing])).toEqual(refused(503, 'unavailable'))
})

test('a hundred distinct secrets are tried, however many hold them', async () => {
  const held = (count: number) => Array.from({ length: count }, (_, i): Held => [`i${i}`, signingSecret(i)])
  const again: Held = ['again', signingSecret(3)]
  expect([
    await find(signed(signingSecret(99)), [result(held(101))]),
    await find(signed(signingSecret(100)), [result(held(101))]),
    await find(signed(signingSecret(100)), [result(held(100))]),
    await find(signed(signingSecret(3)), [result([...held(100), again])]),
    await find(signed(signingSecret(100)), [result([...held(100), again])]),
  ]).toEqual([
    matched('i99'),
    refused(503, 'too_many'),
    refused(401, 'signature_mismatch'),
    matched('i3', 'again'),
    refused(401, 'signature_mismatch'),
  ])
})

test('an integration that has a secret as current and as previous uses it as current', async () => {
  const [entry] = result([['a', one]]).entries
  const [previous] = result([['a', one, 60_000]]).entries
  const secrets = [...(previous?.secrets ?? []), ...(entry?.secrets ?? [])]
  const found = { ...result([]), entries: entry ? [{ ...entry, secrets }] : [] }
  const cache = { find: async () => found, findSince: async () => found, promote: () => {} }
  const match = await findMatch(cache, signed(one))
  expect(match.kind === 'match' && match.matched.map(({ secret }) => secret.validUntil)).toEqual([null])
})

test('the most telling reason is told of a signature that cannot be read', async () => {
  const unsigned = (headers: Record<string, string>, config: object[]) => {
    const request = { headers: new Headers(headers), body: bytes }
    return {
      request: { ...signed(one, [key], pylon), request, signatures: signaturesOf(request) },
      found: [
        result(config.map((one, i) => [`i${i}`, signingSecret(1), undefined, { platform: 'pylon', config: one }])),
      ],
    }
  }
  const timestamped = { pylonSignature: 'timestamped' }
  const outcomes = await Promise.all(
    [
      unsigned({}, [{}]),
      unsigned({ 'x-pylon-signature': 'no hex' }, [{}]),
      unsigned({ 'x-pylon-signature': 'no hex' }, [{}, timestamped]),
      unsigned(
        {
          'x-pylon-signature': 'no hex',
          'pylon-webhook-signature': `hs256=${'0'.repeat(64)}`,
          'pylon-webhook-timestamp': '1',
        },
        [{}, timestamped],
      ),
      unsigned({ 'x-pylon-signature': '0'.repeat(64) }, [{}, timestamped]),
    ].map(({ request, found }) => find(request, found)),
  )
  expect(outcomes).toEqual([
    refused(401, 'signature_missing'),
    refused(401, 'signature_malformed'),
    refused(401, 'signature_malformed'),
    refused(401, 'signature_stale'),
    refused(401, 'signature_mismatch'),
  ])
})

test('a request that names nobody is the one of those that hold its secret, where all of them could be tried', async () => {
  const remembered = (value: string, results: readonly (LookupResult | undefined)[]) =>
    matchRemembered({ find: async (which) => results[which === other ? 1 : 0] }, signed(value, [key, other]))
  const earlier = result([['a', one]], { startedAt: 5 })
  const later = result([['b', one]], { startedAt: 7 })
  const found = await remembered(one, [earlier, later])
  expect(found).toEqual({ startedAt: 7, holders: [expect.anything(), expect.anything()] })
  expect([
    await remembered(two, [earlier, later]),
    await remembered(two, [earlier, undefined]),
    await remembered(two, [earlier, result([], { keyMissing: true })]),
    await remembered(two, [earlier, result([], { truncated: true })]),
  ]).toEqual([undefined, 'unknown', 'unknown', 'unknown'])
})

test('what has no time in it has a digest, by which it is known again', async () => {
  const digest = async (request: ReturnType<typeof signed>, platform: string) => {
    const held = result([['a', one, undefined, { platform }]], { keyMissing: platform === 'pylon' })
    const cache = { find: async () => held, findSince: async () => held, promote: () => {} }
    const match = await findMatch(cache, request)
    return match.kind === 'match' && { digest: match.digest, at: match.at.getTime(), unknown: match.othersUnknown }
  }
  expect([await digest(signed(one), 'slack'), await digest(signed(one, [key], pylon), 'pylon')]).toEqual([
    { digest: null, at: now, unknown: false },
    { digest: createHmac('sha256', one).update(bytes).digest('hex'), at: now, unknown: true },
  ])
})
