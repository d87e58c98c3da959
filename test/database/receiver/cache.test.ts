import { expect, test } from 'vitest'
import { LookupCache } from '../../../src/receiver/lookup/cache.ts'
import { type LookupResult, SecretReader } from '../../../src/receiver/lookup/secrets.ts'
import type { Store } from '../../../src/store/store.ts'
import { kinds } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack, message, request, slackEvent, slackHeaders } from '../../support/webhooks.ts'

const team = (value: string) =>
  ({ kind: 'match', match: { by: 'column', platform: 'slack', column: 'slackTeamId', value } }) as const

/** Lookups of a team, and a way to keep answers of the database back. */
async function held(rememberMs: number) {
  const { db, store } = await start('sqlite')
  const id = await add(store, 'support', signingSecret(1))
  const kept: (() => void)[] = []
  let keeping = false
  const slow: Store = {
    ...store,
    read: async (work) => {
      const answer = await store.read(work)
      if (keeping) await new Promise<void>((resolve) => kept.push(resolve))
      return answer
    },
  }
  const errors: unknown[] = []
  const secrets = new SecretReader({ store: slow, keys: storeOptions(db).keys, onError: (error) => errors.push(error) })
  const cache = new LookupCache((key) => secrets.lookUp(key), { rememberMs, staleMs: 0 })
  await secrets.keyring()
  return {
    store,
    id,
    cache,
    hold: () => {
      keeping = true
    },
    /** How many answers are kept back, once there are so many. */
    kept: async (many: number) => {
      await expect.poll(() => kept.length, { timeout: 5000 }).toBe(many)
    },
    release: () => {
      keeping = false
      for (const go of kept.splice(0)) go()
    },
  }
}

const names = (result: LookupResult | undefined) =>
  result?.entries.map(({ integration, secrets }) => [integration.name, ...secrets.map(({ number }) => number)])

test('what strangers invent is looked up a few at a time, and those who are known wait for none of it', async () => {
  const { cache, hold, kept, release } = await held(0)
  await cache.find(team('T012AB3CD'), 100)
  const guest = [team('T888AB3CD')]
  await cache.find(guest[0] as (typeof guest)[0], 100)
  cache.promote(guest)
  hold()
  const invented = Array.from({ length: 1003 }, (_, i) => cache.find(team(`T${i}`), 100))
  expect(await Promise.all(invented.splice(1000))).toEqual([undefined, undefined, undefined])
  await kept(4)
  // Their refusals wait as those of strangers do: by the time, strangers would learn who is known.
  expect([await cache.turn([team('T0')], 100), await cache.turn([team('T0'), team('T012AB3CD')], 100)]).toEqual([
    true,
    false,
  ])
  // So does whom a request has named that a tenant has signed.
  const known = [cache.find(team('T012AB3CD'), 100), ...guest.map((one) => cache.find(one, 100))]
  await kept(6)
  release()
  expect((await Promise.all(known)).map(names)).toEqual([[['support', 1]], []])
  expect(new Set((await Promise.all(invented)).map((one) => names(one)?.length))).toEqual(new Set([0]))
  // Nor are more bodies held for them than fit.
  hold()
  const large = cache.find(team('T1'), 20_000_000)
  expect(await cache.find(team('T2'), 10_000_000)).toBe(undefined)
  const again = cache.findSince(team('T012AB3CD'), 10_000_000, performance.now())
  await kept(2)
  release()
  expect(names(await large)).toEqual([])
  expect(names(await again)).toEqual([['support', 1]])
  expect(await cache.turn([team('T012AB3CD')], 100)).toBe(true)
})

test('no answer is given that is older than what may be remembered, however long the database took', async () => {
  const { store, id, cache, hold, kept, release } = await held(300)
  hold()
  const slow = cache.find(team('T012AB3CD'), 0)
  const joined = cache.find(team('T012AB3CD'), 0)
  await kept(1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  await rotate(store, id, signingSecret(2), 0)
  const later = cache.find(team('T012AB3CD'), 0)
  await kept(2)
  release()
  expect([names(await slow), names(await joined), names(await later)]).toEqual([
    [['support', 1]],
    [['support', 1]],
    [['support', 2]],
  ])
})

test.each(kinds)('on %s, nobody is looked up for what is too long to be anybody’s', async (kind) => {
  const { db, store, receive } = await start(kind)
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  await db.query('ALTER TABLE integration_settings RENAME TO elsewhere')
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const anonymous = (length: number) => {
    const body = JSON.stringify({ type: 'url_verification', challenge: '' })
    return fromSlack(signingSecret(1), body.replace('""', `"${'x'.repeat(length - body.length)}"`))
  }
  const unsigned = (length: number) => request('ssl_check=1'.padEnd(length, '&'), form)
  const endless = (headers: Record<string, string>) => {
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        sent += 1024
        controller.enqueue(new Uint8Array(1024))
      },
    })
    return {
      request: new Request('http://localhost/', { method: 'POST', body, headers, duplex: 'half' }),
      sent: () => sent,
    }
  }
  const stranger = endless({})
  const signer = endless(slackHeaders(signingSecret(1), ''))
  expect({
    smallUnsigned: brief(await receiver.slack(unsigned(4096))),
    largeUnsigned: brief(await receiver.slack(unsigned(4097))),
    endlessUnsigned: brief(await receiver.slack(stranger.request)),
    endless: brief(await receiver.slack(signer.request)),
    read: [stranger.sent() < 20_000, signer.sent() < 1_100_000],
    largeAnonymous: brief(await receiver.slack(anonymous(16_385))),
    // The database is asked for this one, and cannot answer.
    smallAnonymous: brief(await receiver.slack(anonymous(16_384))),
    named: brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent(message)))),
  }).toEqual({
    smallUnsigned: [200, 'handled', 'ssl_check', ''],
    largeUnsigned: [401, 'signature_missing'],
    endlessUnsigned: [401, 'signature_missing'],
    endless: [413, 'too_large'],
    read: [true, true],
    largeAnonymous: [401, 'unknown_integration'],
    smallAnonymous: [503, 'unavailable'],
    named: [503, 'unavailable'],
  })
  await db.query('ALTER TABLE elsewhere RENAME TO integration_settings')
})
