import pLimit from 'p-limit'
import { expect, test } from 'vitest'
import { IntegrationsError } from '../../../src/errors.ts'
import type { IntegrationView } from '../../../src/integration.ts'
import { pylon } from '../../../src/platforms/pylon.ts'
import { Duplicates } from '../../../src/receiver/duplicates.ts'
import { AppSigners } from '../../../src/receiver/lookup/app-signers.ts'
import type { LookupKey } from '../../../src/receiver/lookup/keys.ts'
import { type Parts, receive } from '../../../src/receiver/receive.ts'
import { BodyBudget } from '../../../src/receiver/request/body-budget.ts'
import { Secret } from '../../../src/secret.ts'
import { fingerprint } from '../../support/brands.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromPylon } from '../../support/webhooks.ts'

const failed = (code: 'DATABASE_BUSY' | 'NOT_FOUND') => new IntegrationsError({ code, message: code, hint: '' })

/** Sends a request that says nothing of its time, again and again, to an integration of an endpoint. */
function start({ platform = pylon, isActive = true }: { platform?: typeof pylon; isActive?: boolean } = {}) {
  const state = { isActive, strays: false, failure: failed('DATABASE_BUSY') }
  const found = () => ({
    ...{ startedAt: performance.now(), startedAtMs: Date.now(), clockAheadMs: 0, keyMissing: false, truncated: false },
    entries: [
      {
        integration: { id: 'i', platform: 'pylon', config: null, isActive: state.isActive } as IntegrationView,
        secrets: [{ number: 1, fingerprint: fingerprint('1'), value: new Secret(signingSecret()), validUntil: null }],
      },
    ],
  })
  const find = async ({ kind }: LookupKey) => (kind === 'strays' ? { ...found(), keyMissing: state.strays } : found())
  const parts = {
    store: { readForChange: () => Promise.reject(state.failure) },
    cache: { find, findSince: find, promote: () => {}, turn: async () => true },
    usage: { matched: () => {} },
    bodies: new BodyBudget(),
    duplicates: new Duplicates(),
    unclaimed: pLimit(1),
    signers: new AppSigners(),
    onError: () => {},
  } as unknown as Parts
  const send = async () => {
    const outcome = await receive(parts, { platform, incoming: fromPylon(signingSecret(), '{}'), integrationId: 'i' })
    return 'reason' in outcome ? outcome.reason : outcome.kind
  }
  return { state, send }
}

test('a request that could not be decided is no duplicate when it comes again', async () => {
  const revoking: typeof pylon = {
    ...pylon,
    webhooks: {
      ...pylon.webhooks,
      read: (...args) =>
        ({ ...pylon.webhooks.read(...args), revoked: { at: null } }) as ReturnType<typeof pylon.webhooks.read>,
    },
  }
  const switching = start({ platform: revoking })
  const before = [await switching.send(), await switching.send()]
  switching.state.failure = failed('NOT_FOUND')
  expect([...before, await switching.send(), await switching.send()]).toEqual([
    ...['unavailable', 'unavailable', 'event', 'duplicate'],
  ])

  const inactive = start({ isActive: false })
  inactive.state.strays = true
  const unknown = [await inactive.send(), await inactive.send()]
  inactive.state.strays = false
  expect([...unknown, await inactive.send(), await inactive.send()]).toEqual([
    ...['unavailable', 'unavailable', 'inactive', 'duplicate'],
  ])
})
