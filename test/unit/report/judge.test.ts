import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Fingerprint, type Instant, instantOf } from '../../../src/brands.ts'
import type { ListedIntegration, SecretFacts } from '../../../src/integration.ts'
import { type FindingCode, findingCodes } from '../../../src/operations/report/finding.ts'
import { type Facts, judge, type Setting } from '../../../src/operations/report/judge.ts'
import { judgeRemoved } from '../../../src/operations/report/judge-revocations.ts'
import { slack } from '../../../src/platforms/slack.ts'
import type { Policy } from '../../../src/store/report/policies.ts'

const now = Date.parse('2026-11-28T00:00:00Z')
const days = 86_400_000
const at = (distanceMs: number) => instantOf(now + distanceMs)

const held = (setAt = at(-5 * days)): SecretFacts => ({
  set: true,
  fingerprint: '0123456789abcdef' as NonNullable<SecretFacts['fingerprint']>,
  setAt,
  previousValidUntil: null,
})

const fine: ListedIntegration = {
  id: 'a' as ListedIntegration['id'],
  workspaceId: 'w',
  workspace: 'Acme',
  platform: 'slack',
  name: 'support',
  webhookSecret: held(),
  accessToken: held(),
  refreshToken: { ...held(), set: false, fingerprint: null, setAt: null },
  tokenExpiresAt: null,
  tokenExpiry: 'never',
  tokenRefresh: null,
  app: null,
  slackTeamId: null,
  slackTeamName: null,
  slackBotUserId: null,
  pylonAccountId: null,
  isActive: true,
  config: null,
  lastUsedAt: at(-1000),
  createdAt: at(-5 * days),
  createdBy: null,
  version: 1,
  lastCheck: { verdict: 'ok', code: null, at: at(-1000) },
  refusedWebhooks: null,
  owner: null,
  tags: {},
  note: null,
}

/** A day in seconds, as policies count. */
const day = 86_400

/** A policy for the integrations that have its name as a tag. */
function policy(name: string, asks: Partial<Policy>): Policy {
  return {
    ...{ name, platform: null, workspaceId: null, workspace: null, tagKey: name, tagValue: null },
    ...{ maxSecretAge: null, maxTokenAge: null, expiresWithin: null, unusedAfter: null },
    ...{ expiryRequired: false, ownerRequired: false, updatedAt: at(-1000) },
    ...asks,
  }
}

const setting: Setting = {
  now,
  required: true,
  usableKeys: new Set(['enc-1']),
  usesRecorded: true,
  lastReport: at(-1000),
  policies: [
    policy('secrets', { maxSecretAge: 4 * day }),
    policy('tokens', { maxTokenAge: 4 * day }),
    policy('dated', { expiryRequired: true }),
    policy('early', { expiresWithin: 60 * day }),
    policy('owned', { ownerRequired: true }),
  ],
}

const version = (more: Partial<Facts['noted'][number]> = {}): Facts['noted'][number] => ({
  field: 'webhookSecret',
  state: 'current',
  setAt: at(-3_600_000),
  lastMatchedAt: null,
  keyId: 'enc-1',
  ...more,
})

const clean: Facts = { integration: fine, noted: [], revocations: [], shared: {}, configProblem: null }
const row = (facts: Facts, change: Partial<ListedIntegration>): Facts => ({
  ...facts,
  integration: { ...facts.integration, ...change },
})
const tagged = (facts: Facts, ...names: string[]): Facts =>
  row(facts, { tags: { ...facts.integration.tags, ...Object.fromEntries(names.map((name) => [name, ''])) } })
const noted = (facts: Facts, ...more: Facts['noted']): Facts => ({ ...facts, noted: [...facts.noted, ...more] })
const secret = (facts: Facts, change: Partial<SecretFacts>): Facts =>
  row(facts, { webhookSecret: { ...facts.integration.webhookSecret, ...change } })
const open = (facts: Facts, leftMs: number, ...versions: Facts['noted']) =>
  secret(noted(facts, ...versions), { previousValidUntil: at(leftMs) })
const expiring = (leftMs: number) => (facts: Facts) => row(facts, { tokenExpiry: 'dated', tokenExpiresAt: at(leftMs) })
const refreshing = (leftMs: number) => (facts: Facts) =>
  row(expiring(leftMs)(facts), { app: 'bot', refreshToken: held() })
const used = version({ lastMatchedAt: at(-2) })
const previousUsed = version({ state: 'previous', lastMatchedAt: at(-1) })

const refused = (lastMs: number) => ({
  count: 2,
  since: at(lastMs),
  lastAt: at(lastMs),
  lastReason: 'signature_mismatch',
})

/** Faults of which an integration has one of each group at most, so that any mixture of them is one that there can be. */
const faults: readonly { readonly [C in FindingCode]?: (facts: Facts) => Facts }[] = [
  {
    'token-expired': expiring(0),
    'token-expires-1d': expiring(days),
    'token-expires-7d': expiring(7 * days),
    'token-expires-30d': expiring(30 * days),
    'refresh-overdue': refreshing(3_599_000),
    'token-expires-soon': (facts) => tagged(expiring(60 * days)(facts), 'early'),
    'expiry-missing': (facts) => tagged(facts, 'dated'),
    'token-expiry-unknown': (facts) => row(facts, { tokenExpiry: 'unknown' }),
  },
  {
    'refresh-refused': (facts) => row(facts, { tokenRefresh: 'refused' }),
    'refresh-outcome-unknown': (facts) => row(facts, { tokenRefresh: 'outcome_unknown' }),
    'reauthorization-needed': (facts) => row(facts, { tokenRefresh: 'needs_reauth' }),
  },
  {
    'secret-missing': (facts) => secret(facts, { set: false }),
    'secret-unknown': (facts) => secret(facts, { set: null }),
  },
  {
    'grace-period-open': (facts) => open(facts, 2 * days, used, previousUsed),
    'new-secret-unmatched': (facts) => open(facts, 2 * days, version(), previousUsed),
    'previous-secret-in-use': (facts) => open(facts, days, used, previousUsed),
  },
  {
    'never-used': (facts) => row(facts, { lastUsedAt: null, createdAt: at(-30 * days - 1) }),
    stale: (facts) => row(facts, { lastUsedAt: at(-30 * days - 1) }),
  },
  {
    'check-failed': (facts) => row(facts, { lastCheck: { verdict: 'refused', code: 'token_revoked', at: at(-1) } }),
    'check-differs': (facts) => row(facts, { lastCheck: { verdict: 'ok', code: 'differs', at: at(-1) } }),
    'check-unknown': (facts) => row(facts, { lastCheck: { verdict: 'unknown', code: null, at: at(-1) } }),
  },
  { 'webhooks-refused': (facts) => row(facts, { refusedWebhooks: refused(-days) }) },
  { 'secret-old': (facts) => tagged(row(facts, { refreshToken: held() }), 'secrets') },
  {
    'token-old': (facts) => tagged(facts, 'tokens'),
    'age-unknown': (facts) =>
      tagged(row(facts, { accessToken: { ...facts.integration.accessToken, setAt: null } }), 'tokens'),
  },
  { 'owner-missing': (facts) => tagged(facts, 'owned') },
  { 'config-invalid': (facts) => ({ ...facts, configProblem: 'slackEvents must be array' }) },
  {
    'revocation-outcome-unknown': (facts) => ({
      ...facts,
      revocations: [{ fingerprint: 'fedcba9876543210' as Fingerprint, at: at(-120_000), name: null, expiresAt: null }],
    }),
  },
  { 'secret-shared': (facts) => ({ ...facts, shared: { accessToken: 2 } }) },
  {
    'secret-not-encrypted': (facts) => noted(facts, version({ field: 'accessToken', keyId: null })),
    'key-unusable': (facts) => noted(facts, version({ field: 'accessToken', keyId: 'enc-2' })),
  },
]

/** Nothing, or one of the faults, of each group. */
const mixture = fc.tuple(
  ...faults.map((group) =>
    fc.constantFrom<FindingCode | undefined>(undefined, ...(Object.keys(group) as FindingCode[])),
  ),
)

test('every mixture of faults is told, each by its code and once, and nothing else is', () => {
  expect(judge(clean, setting)).toEqual([])
  fc.assert(
    fc.property(mixture, (codes) => {
      const given = codes.filter((code) => code !== undefined)
      const facts = given.reduce((facts, code) => faults.find((group) => group[code])?.[code]?.(facts) ?? facts, clean)
      const found = judge(facts, setting)
      expect(found.map(({ code }) => code).sort()).toEqual([...given].sort())
      for (const { code, severity, integration, since, evidence } of found) {
        expect([severity, integration]).toEqual([findingCodes[code][0], facts.integration])
        expect(since === null || Date.parse(since) <= now).toBe(true)
        expect(evidence).not.toBe('')
      }
    }),
    { numRuns: 2000 },
  )
})

test('a millisecond makes the difference at each threshold', () => {
  const codes = (facts: Facts) => judge(facts, setting).map(({ code }) => code)
  expect(codes(expiring(1)(clean))).toEqual(['token-expires-1d'])
  expect(codes(expiring(days + 1)(clean))).toEqual(['token-expires-7d'])
  expect(codes(expiring(7 * days + 1)(clean))).toEqual(['token-expires-30d'])
  expect(codes(expiring(30 * days + 1)(clean))).toEqual([])
  expect(codes(refreshing(3_600_000)(clean))).toEqual([])
  expect(codes(row(clean, { lastUsedAt: at(-30 * days) }))).toEqual([])
  expect(codes(row(clean, { lastUsedAt: null, createdAt: at(-30 * days) }))).toEqual([])
  expect(codes(open(clean, 0, version()))).toEqual([])
  expect(codes(row(clean, { refusedWebhooks: refused(-days - 1) }))).toEqual([])
  const off = row({ ...clean, changedAt: at(-days) }, { isActive: false, lastUsedAt: at(-days + 1) })
  expect(codes(off)).toEqual(['inactive-but-used'])
  expect(codes(row(off, { lastUsedAt: at(-days) }))).toEqual([])
  expect(codes(row({ ...off, changedAt: at(-2 * days) }, { lastUsedAt: at(-days - 1) }))).toEqual([])
  expect(codes({ ...off, changedAt: undefined })).toEqual([])
  expect(codes(open(clean, days + 1, used, previousUsed))).toEqual(['grace-period-open'])
})

test('an unknown expiry leads to check once, and then to what sets the expiry', () => {
  const unknown = row(clean, { tokenExpiry: 'unknown' })
  const next = (facts: Facts) => judge(facts, setting).find(({ code }) => code === 'token-expiry-unknown')?.next
  const lastCheck = { verdict: 'unknown', code: null, at: at(-1) } as const
  expect([next(row(unknown, { lastCheck: null })), next(row(unknown, { lastCheck })), next(unknown)]).toEqual([
    'integrations check a',
    'integrations check a',
    'integrations rotate a --field access-token --no-expiry',
  ])
})

test('of several policies for an integration, the strictest of each number counts', () => {
  const asking = (facts: Facts, ...policies: Policy[]) =>
    judge(facts, { ...setting, policies: policies.map((one) => ({ ...one, tagKey: null })) }).map(
      ({ code, evidence }) => `${code}: ${evidence}`,
    )
  const secretSet = `the webhook secret was set at ${at(-5 * days)}`
  expect(asking(clean, policy('a', { maxSecretAge: 5 * day }), policy('b', { maxSecretAge: 5 * day - 1 }))).toEqual([
    `secret-old: ${secretSet}; the policy b allows 431999s`,
  ])
  // At the very millisecond, it is not too old.
  expect(asking(clean, policy('a', { maxSecretAge: 5 * day, maxTokenAge: 5 * day }))).toEqual([])
  const end = `expires at ${at(50 * days)}`
  expect(
    asking(expiring(50 * days)(clean), policy('a', { expiresWithin: 60 * day }), policy('b', { expiresWithin: day })),
  ).toEqual([`token-expires-soon: ${end}; the policy a warns 60d before`])
  const unused = row(clean, { lastUsedAt: at(-2 * days) })
  expect(asking(unused, policy('a', { unusedAfter: 40 * day }), policy('b', { unusedAfter: day }))).toEqual([
    `stale: last used at ${at(-2 * days)}`,
  ])
  // A policy sets the threshold, later than usual, too.
  expect(asking(row(clean, { lastUsedAt: at(-35 * days) }), policy('a', { unusedAfter: 40 * day }))).toEqual([])
  expect(asking(expiring(3 * days)(clean), policy('a', { expiresWithin: day }))).toEqual([])
  // The error stays, however late a policy has the warning.
  const soon = `token-expires-1d: expires at ${at(days / 2)}`
  for (const expiresWithin of [day / 24, day / 2 + 3600])
    expect(asking(expiring(days / 2)(clean), policy('a', { expiresWithin }))).toEqual([soon])
  expect(asking(expiring(3 * days)(clean), policy('a', { expiresWithin: 30 * day }))).toEqual([
    `token-expires-7d: expires at ${at(3 * days)}`,
  ])
  // Scopes.
  const codes = (scope: Partial<Policy>, change: Partial<ListedIntegration> = {}) =>
    judge(row(clean, change), {
      ...setting,
      policies: [{ ...policy('x', { ownerRequired: true }), tagKey: null, ...scope }],
    })
      .map(({ code }) => code)
      .join()
  const scopes: readonly (readonly [Partial<Policy>, boolean, Partial<ListedIntegration>?])[] = [
    [{}, true],
    [{ platform: 'slack', workspaceId: 'w' }, true],
    [{ platform: 'github' }, false],
    [{ platform: 'slack', workspaceId: 'v' }, false],
    [{ tagKey: 'env' }, false],
    [{ tagKey: 'env' }, true, { tags: { env: 'test' } }],
    [{ tagKey: 'env', tagValue: 'production' }, false, { tags: { env: 'test' } }],
    [{ tagKey: 'env', tagValue: 'test' }, true, { tags: { env: 'test' } }],
    [{ tagKey: 'constructor' }, false],
    [{}, false, { owner: 'team' }],
    [{}, false, { isActive: false }],
  ]
  for (const [scope, isAsked, change] of scopes)
    expect([scope, change, codes(scope, change)]).toEqual([scope, change, isAsked ? 'owner-missing' : ''])
})

test('what is wrong by a policy began when the policy was set, at the earliest', () => {
  const since = (updatedAt: Instant) =>
    judge(clean, { ...setting, policies: [{ ...policy('a', { maxTokenAge: day }), tagKey: null, updatedAt }] })[0]
      ?.since
  expect(since(at(-5 * days))).toBe(at(-4 * days))
  expect(since(at(-1000))).toBe(at(-1000))
})

test('what is inactive is told of only what stays true, and what cannot be read of nothing else', () => {
  const every = faults.flatMap((group) => Object.values(group)).reduce((facts, fault) => fault(facts), clean)
  const codes = (change: Partial<ListedIntegration>, other: Partial<Setting> = {}) =>
    judge(row(every, change), { ...setting, ...other })
      .map(({ code }) => code)
      .sort()
  const stays = ['key-unusable', 'revocation-outcome-unknown', 'secret-not-encrypted', 'secret-shared']
  expect(codes({ isActive: false })).toEqual(stays)
  expect(codes({ isActive: false }, { required: false })).toEqual([
    'key-unusable',
    'revocation-outcome-unknown',
    'secret-shared',
  ])
  expect(codes({ platform: 'other' })).toEqual([
    'key-unusable',
    'platform-unknown',
    'revocation-outcome-unknown',
    'secret-not-encrypted',
    'secret-shared',
  ])
  expect(codes({ damage: ['name'] })).toEqual(['row-unreadable'])
  expect(codes({})).toContain('stale')
  expect(codes({}, { usesRecorded: false })).not.toContain('stale')
})

test('an unknown outcome of a revocation is told while the platform may accept the token', () => {
  const asked = (fingerprint: string, agoMs: number, expiresAt: number | null = null) => ({
    fingerprint: fingerprint as Fingerprint,
    at: at(-agoMs),
    name: 'Acme/support',
    expiresAt: expiresAt === null ? null : at(expiresAt),
  })
  const [stored, gone] = [String(held().fingerprint), 'fedcba9876543210']
  const told = (change: Partial<ListedIntegration>, ...revocations: Facts['revocations']) =>
    judge(row({ ...clean, revocations }, change), setting)
      .filter(({ code }) => code === 'revocation-outcome-unknown')
      .map(({ since, evidence, next }) => [since, evidence, next])
  const [hour, then] = [3_600_000, at(-3_600_000)]
  const again = [
    then,
    `Slack was asked at ${then} to revoke the access token`,
    'integrations secrets revoke a access-token',
  ]
  const byHand = `revoke the token by hand at ${slack.secrets.accessToken.page}`
  expect(told({}, asked(stored, hour))).toEqual([again])
  expect(told({}, asked(gone, hour))).toEqual([
    [then, `Slack was asked at ${then} to revoke an access token that is not stored any more: ${byHand}`, null],
  ])
  expect(told({}, asked(gone, 2 * hour), asked(stored, hour))).toEqual([
    [at(-2 * hour), `${again[1]}, and 1 other`, again[2]],
  ])
  // The process that asks may still be at work, or the token has ended since.
  expect(told({}, asked(stored, 119_999), asked(gone, hour, 0))).toEqual([])
  expect(told({ tokenExpiresAt: at(0) }, asked(stored, hour))).toEqual([])
  const checked = (verdict: string, agoMs: number) =>
    told({ lastCheck: { verdict, code: null, at: at(-agoMs) } }, asked(stored, hour)).length
  expect([checked('refused', 1), checked('expired', 1), checked('ok', 1), checked('refused', 2 * hour)]).toEqual([
    0, 0, 1, 1,
  ])
})

test('of a removed integration, the name is told that it had', () => {
  const request = { fingerprint: 'fedcba9876543210' as Fingerprint, name: 'Acme/old', expiresAt: null }
  const told = judgeRemoved(
    [
      { ...request, at: at(-120_000) },
      { ...request, at: at(-119_999) },
      { ...request, at: at(-days), expiresAt: at(0) },
    ],
    now,
  )
  expect(told).toEqual([
    {
      code: 'revocation-outcome-unknown',
      severity: 'error',
      integration: null,
      since: at(-120_000),
      evidence: `the platform was asked at ${at(-120_000)} to revoke an access token of Acme/old, which is removed: revoke the token by hand`,
      next: null,
    },
  ])
})
