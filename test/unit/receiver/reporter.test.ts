import { expect, test } from 'vitest'
import { type Fingerprint, type Instant, instantOf } from '../../../src/brands.ts'
import { newKey } from '../../../src/crypto/key-set.ts'
import type { Keyring } from '../../../src/crypto/keyring.ts'
import type { IntegrationView } from '../../../src/integration.ts'
import { Reporter } from '../../../src/receiver/reporter.ts'
import { Secret } from '../../../src/secret.ts'
import type { ReceiverReport } from '../../../src/store/activity/receivers.ts'
import { headMac } from '../../../src/store/audit/head.ts'
import type { Reader, Store } from '../../../src/store/store.ts'
import { integrationId } from '../../support/brands.ts'

const start = Date.parse('2026-01-02T03:04:05.000Z')
const day = 86_400_000

/** A reporter whose database has a clock that the test sets, and what it has reported last. */
function reporting() {
  const key = newKey('audit')
  const keyring: Keyring = { keys: new Map(), encryptionKey: key, fingerprintKey: key, auditKey: key }
  const database = { id: 'database', ownership: 'own', mode: 'required', keys: [] } as const
  const end = { seq: 1n, hash: 'hash' }
  const settings = { ...database, head: { ...end, mac: headMac(keyring, database, end) } }
  const state: { now: number; report: ReceiverReport | undefined } = { now: start, report: undefined }
  const reader = { clock: async () => new Date(state.now), keys: { settings: async () => settings } }
  const store = {
    read: (work) => work(reader as unknown as Reader),
    recordUsage: (work) =>
      work({
        report: async ({ report }) => void Object.assign(state, { report: JSON.parse(report) }),
        withdraw: async () => void Object.assign(state, { report: undefined }),
        used: async () => [],
        refused: async () => {},
      }),
  } as Partial<Store> as Store
  const limits = { remember: 5, stale: 300 }
  return { state, reporter: new Reporter({ store, keyring: async () => keyring, limits }) }
}

const value = (n: number, validUntil: Instant | null) => ({
  number: n,
  fingerprint: `print-${n}` as Fingerprint,
  value: new Secret('x'),
  validUntil,
})

/** A match of the previous or the current secret of an integration. */
function match(name: string, which: 'previous' | 'current', inGracePeriod = true) {
  const [previous, current] = [value(1, instantOf(start + day)), value(2, null)]
  const secrets = inGracePeriod ? [current, previous] : [current]
  const integration = { id: integrationId(name) } as Partial<IntegrationView> as IntegrationView
  return { entry: { integration, secrets }, secret: which === 'previous' ? previous : current }
}

test('a report tells the last matches during grace periods, and since when it is whole', async () => {
  const { state, reporter } = reporting()
  await reporter.report()
  const limits = { remember: 5, stale: 300 }
  const since = instantOf(start)
  expect(state.report).toEqual({ at: since, since, ...limits, current: [], previous: [] })

  for (const ms of [1000, 3000, 2000]) reporter.matched(match('a', 'current'), new Date(start + ms))
  reporter.matched(match('a', 'previous'), new Date(start + 4000))
  reporter.matched(match('b', 'current', false), new Date(start + 5000))
  expect(reporter.hasNews).toBe(true)
  state.now = start + 60_000
  await reporter.report()
  const previous = [['a', 'print-1', instantOf(start + 4000)]]
  expect(reporter.hasNews).toBe(false)
  expect(state.report).toEqual({
    at: instantOf(state.now),
    since,
    ...limits,
    current: [['a', 'print-2', instantOf(start + 3000)]],
    previous,
  })

  // It is bounded. What it leaves out of previous secrets, it does not deny.
  for (let n = 0; n < 1001; n++)
    for (const which of ['previous', 'current'] as const)
      reporter.matched(match(`${n}`, which), new Date(start + 10_000 + n))
  await reporter.report()
  expect([state.report?.since, state.report?.previous.length, state.report?.current.length]).toEqual([
    instantOf(start + 10_000),
    1000,
    1000,
  ])
  state.now = start + 9 * day
  await reporter.report()
  expect(state.report).toMatchObject({ since: instantOf(start + 11_000), current: [], previous: [] })
  await reporter.withdraw()
  expect(state.report).toBe(undefined)
})
