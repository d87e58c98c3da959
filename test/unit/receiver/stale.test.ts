import { afterEach, expect, test, vi } from 'vitest'
import { type ErrorCode, IntegrationsError } from '../../../src/errors.ts'
import type { IntegrationView } from '../../../src/integration.ts'
import { LookupCache } from '../../../src/receiver/lookup/cache.ts'
import { textOf } from '../../../src/receiver/lookup/keys.ts'
import type { CacheEntry, LookupResult } from '../../../src/receiver/lookup/secrets.ts'

afterEach(() => vi.restoreAllMocks())

const key = { kind: 'match', match: { by: 'id', value: 'a' } } as const

const entry: CacheEntry = { integration: { config: {} } as IntegrationView, secrets: [] }

/** A cache, and what the database answers: a number of entries, an error, or nothing at all. */
function cacheOf(limits: { rememberMs: number; staleMs: number }) {
  let answer: number | ErrorCode | 'silence' = 1
  let reads = 0
  const told: unknown[] = []
  const read = async (): Promise<LookupResult> => {
    reads++
    const [startedAt, startedAtMs] = [performance.now(), Date.now()]
    if (answer === 'silence') return new Promise(() => {})
    if (typeof answer === 'string') throw new IntegrationsError({ code: answer, message: answer, hint: '' })
    const entries = Array<CacheEntry>(answer).fill(entry)
    return { entries, startedAt, startedAtMs, clockAheadMs: 0, keyMissing: false, truncated: false }
  }
  const cache = new LookupCache(read, limits, (error) => told.push((error as IntegrationsError).code))
  return {
    reads: () => reads,
    told,
    find: async (now: typeof answer) => {
      answer = now
      return Promise.resolve(cache.find(key, 0)).then(
        (result) => result?.entries.length,
        (error: IntegrationsError) => error.code,
      )
    },
  }
}

test('what is known is used while the database is away, and not after an answer', async () => {
  const { find, told } = cacheOf({ rememberMs: 0, staleMs: 60_000 })
  expect(await find('DATABASE_UNREACHABLE')).toBe('DATABASE_UNREACHABLE')
  expect(await find(1)).toBe(1)
  expect([await find('DATABASE_UNREACHABLE'), await find('DATABASE_BUSY'), await find('silence')]).toEqual([1, 1, 1])
  expect(told).toEqual(['DATABASE_UNREACHABLE', 'DATABASE_BUSY'])
  // That the integration is gone is an answer.
  expect([await find(0), await find('DATABASE_UNREACHABLE'), await find(1)]).toEqual([0, 0, 1])
  // So is a refusal, after which nothing is known any more.
  for (const refusal of ['NOT_PERMITTED', 'KEY_WRONG', 'DATABASE_INVALID', 'DATABASE_MISSING'] as const)
    expect([await find(1), await find(refusal), await find('DATABASE_UNREACHABLE')]).toEqual([
      1,
      refusal,
      'DATABASE_UNREACHABLE',
    ])
})

test('what is known is used for a limited time, by whichever clock says more, or not at all', async () => {
  const never = cacheOf({ rememberMs: 0, staleMs: 0 })
  expect([await never.find(1), await never.find('DATABASE_UNREACHABLE')]).toEqual([1, 'DATABASE_UNREACHABLE'])
  for (const clock of [Date, performance]) {
    const { find } = cacheOf({ rememberMs: 5000, staleMs: 300_000 })
    expect(await find(1)).toBe(1)
    const now = clock.now()
    const at = (ms: number) => vi.spyOn(clock, 'now').mockImplementation(() => now + ms)
    at(299_000)
    expect(await find('DATABASE_UNREACHABLE')).toBe(1)
    at(301_000)
    expect(await find('DATABASE_UNREACHABLE')).toBe('DATABASE_UNREACHABLE')
    vi.restoreAllMocks()
  }
})

test('a lookup is answered from memory, and read again in the last half of that time', async () => {
  const { find, reads } = cacheOf({ rememberMs: 600_000, staleMs: 0 })
  const now = Date.now()
  const at = (ms: number) => vi.spyOn(Date, 'now').mockImplementation(() => now + ms)
  expect([await find(1), await find(2), reads()]).toEqual([1, 1, 1])
  at(299_000)
  expect([await find(2), reads()]).toEqual([1, 1])
  at(301_000)
  expect([await find(2), reads()]).toEqual([1, 2])
  await expect.poll(() => find(2)).toBe(2)
  expect(reads()).toBe(2)
})

test('a reading that answers after one that began later changes nothing', async () => {
  const readings: { resolve(result: LookupResult): void; reject(error: Error): void }[] = []
  const cache = new LookupCache(() => new Promise((resolve, reject) => readings.push({ resolve, reject })), {
    rememberMs: 0,
    staleMs: 60_000,
  })
  const found = async (asked: ReturnType<LookupCache['find']>) => (await asked)?.entries.length
  const result = (entries: number): LookupResult => ({
    ...{ entries: Array<CacheEntry>(entries).fill(entry), clockAheadMs: 0, keyMissing: false },
    ...{ truncated: false, startedAt: performance.now(), startedAtMs: Date.now() },
  })
  const first = cache.find(key, 0)
  await expect.poll(() => readings.length).toBe(1)
  const before = result(2)
  const second = cache.find(key, 0)
  await expect.poll(() => readings.length).toBe(2)
  readings[1]?.resolve(result(1))
  expect(await found(second)).toBe(1)
  readings[0]?.resolve(before)
  expect(await found(first)).toBe(1)
  const third = cache.find(key, 0)
  const fourth = cache.find(key, 0)
  await expect.poll(() => readings.length).toBe(4)
  readings[3]?.resolve(result(1))
  await fourth
  readings[2]?.reject(new IntegrationsError({ code: 'NOT_PERMITTED', message: 'refused', hint: '' }))
  await Promise.resolve(third).catch(() => {})
  // The refusal came late: what is known since is used while the database is away.
  const fifth = cache.find(key, 0)
  await expect.poll(() => readings.length).toBe(5)
  readings[4]?.reject(new IntegrationsError({ code: 'DATABASE_BUSY', message: 'busy', hint: '' }))
  expect(await found(fifth)).toBe(1)
})

test('strangers have the secrets of a platform looked through half of the time at most, and a tenant’s read at once', async () => {
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  const began: string[] = []
  const answers: (() => void)[] = []
  const cache = new LookupCache(
    async ({ kind }) => {
      began.push(`${kind} at ${now}`)
      const [startedAt, startedAtMs] = [now, Date.now()]
      await new Promise<void>((resolve) => answers.push(resolve))
      return { entries: [], startedAt, startedAtMs, clockAheadMs: 0, keyMissing: false, truncated: false }
    },
    { rememberMs: 5000, staleMs: 0 },
  )
  const whole = { kind: 'platform', platform: 'slack' } as const
  const answered = async (asked: Promise<unknown>, reads: number) => {
    await expect.poll(() => answers.length).toBe(reads)
    now += 400
    for (const answer of answers.splice(0)) answer()
    await asked
  }
  await answered(Promise.all([cache.findSince(whole, 0, now), cache.findSince(key, 0, now)]), 2)
  now = 500
  const again = cache.findSince(whole, 0, now)
  await answered(cache.findSince(key, 0, now), 1)
  await answered(again, 1)
  expect(began).toEqual(['platform at 0', 'match at 0', 'match at 500', 'platform at 900'])
})

test('one scan runs at a time, is kept until the next may begin, and is never taken for a tenant’s', async () => {
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  const began: string[] = []
  const answers: (() => void)[] = []
  const cache = new LookupCache(
    async ({ kind }) => {
      began.push(`${kind} at ${now}`)
      const [startedAt, startedAtMs] = [now, Date.now()]
      await new Promise<void>((resolve) => answers.push(resolve))
      const entries = [entry]
      return { entries, startedAt, startedAtMs, clockAheadMs: 0, keyMissing: false, truncated: false }
    },
    { rememberMs: 0, staleMs: 0 },
  )
  const answer = async () => {
    await expect.poll(() => answers.length).toBeGreaterThan(0)
    for (const go of answers.splice(0)) go()
  }
  const whole = { kind: 'platform', platform: 'slack' } as const
  const first = cache.find(whole, 0)
  await expect.poll(() => began.length).toBe(1)
  now = 8000
  const joined = [cache.find(whole, 0), cache.findSince(whole, 0, 0)]
  await answer()
  const [result, ...same] = await Promise.all([first, ...joined])
  expect(same).toEqual([result, result])
  cache.promote([whole])
  // It took 8 seconds.
  now = 15_999
  expect(cache.find(whole, 0)).toBe(result)
  const since = cache.findSince(whole, 0, now)
  now = 16_000
  const invented = Array.from({ length: 4 }, (_, i) => cache.find({ kind: 'strays', platform: `${i}` }, 0))
  await expect.poll(() => began.length).toBe(5)
  const queued = cache.find(whole, 0)
  expect(await cache.turn([whole], 0)).toBe(true)
  expect(began.length).toBe(5)
  await answer()
  await expect.poll(() => began.length).toBe(6)
  await answer()
  await Promise.all([since, queued, ...invented])
  expect(began).toEqual(['platform at 0', ...Array(4).fill('strays at 16000'), 'platform at 16000'])
})

test('no more is remembered of tenants than fits into memory, and what is used least is read again', async () => {
  const config = { note: 'x'.repeat(20 * 1024 * 1024) }
  const read: string[] = []
  const cache = new LookupCache(
    async (key) => {
      read.push(textOf(key))
      const entries = [{ ...entry, integration: { config } as unknown as IntegrationView }]
      const [startedAt, startedAtMs] = [performance.now(), Date.now()]
      return { entries, startedAt, startedAtMs, clockAheadMs: 0, keyMissing: false, truncated: false }
    },
    { rememberMs: 600_000, staleMs: 0 },
  )
  for (const value of ['a', 'b', 'c', 'a', 'd', 'a', 'b'])
    expect((await cache.find({ kind: 'match', match: { by: 'id', value } }, 0))?.entries.length).toBe(1)
  expect(read).toEqual(['id a', 'id b', 'id c', 'id d', 'id b'])
})
