import { expect, test } from 'vitest'
import { platformById } from '../../../src/platforms/platforms.ts'
import { keyOf } from '../../../src/receiver/lookup/keys.ts'
import type { LookupResult } from '../../../src/receiver/lookup/secrets.ts'
import { Refusals } from '../../../src/receiver/refusals.ts'
import { integrationId } from '../../support/brands.ts'

const github = platformById('github')
const reason = 'signature_mismatch'
const minuteMs = 60_000

/** What the database had for an id: these integrations. */
const result = (...ids: readonly string[]): LookupResult => ({
  entries: ids.map((id) => ({ integration: { id: integrationId(id), platform: 'github' }, secrets: [] })) as never,
  startedAt: performance.now(),
  startedAtMs: Date.now(),
  clockAheadMs: 0,
  keyMissing: false,
  truncated: false,
})

/** Refusals whose clock the test sets, and what is remembered and stored of each id. */
function counting(
  known: (id: string) => LookupResult | undefined,
  stored: (id: string) => LookupResult = () => result(),
) {
  const clock = { now: 0 }
  const refusals = new Refusals({ now: () => clock.now })
  const asked: string[] = []
  const idOf = (key: unknown) => String((key as { match: { value: string } }).match.value)
  const cache = {
    known: (key: unknown) => known(idOf(key)),
    find: async (key: unknown) => {
      asked.push(idOf(key))
      return stored(idOf(key))
    },
  }
  const refuse = (id: string) => refusals.note(cache, { platform: github, keys: [keyOf(github, id)], reason })
  const taken = () => refusals.take().map(({ id, count }) => [id, count])
  return { clock, refusals, asked, refuse, taken }
}

test('an integration is written once a minute, and nothing of it is lost in between', () => {
  const { clock, refuse, taken } = counting(result)
  refuse('a')
  refuse('a')
  expect(taken()).toEqual([['a', 2]])
  refuse('a')
  refuse('b')
  expect(taken()).toEqual([['b', 1]])
  clock.now = minuteMs - 1
  refuse('a')
  expect(taken()).toEqual([])
  clock.now = minuteMs
  expect(taken()).toEqual([['a', 2]])
})

test('60 integrations are written in a minute, and those that have waited longest come first', () => {
  const { clock, refuse, taken } = counting(result)
  const ids = Array.from({ length: 130 }, (_, i) => `id-${i}`)
  for (const id of ids) refuse(id)
  const minutes = [0, 0.5, 1, 1.5, 2].map((minutes) => {
    clock.now = minutes * minuteMs
    // A flood of one does not push itself before the others.
    refuse('id-0')
    return taken().map(([id]) => id)
  })
  expect(minutes).toEqual([ids.slice(0, 60), [], ids.slice(60, 120), [], [...ids.slice(120), 'id-0']])
})

test('a thousand integrations wait, and what could not be written is added to what came since', () => {
  const { clock, refusals, refuse, taken } = counting(result)
  for (let i = 0; i < 5000; i++) refuse(`id-${i}`)
  const [failed] = refusals.take()
  if (!failed) throw new Error('nothing was taken')
  refuse('id-0')
  refusals.add(failed)
  const all: unknown[] = []
  for (let minute = 1; minute < 100; minute++) {
    clock.now = minute * minuteMs
    all.push(...taken())
  }
  // 60 were taken before, of which one failed, and none was let in after the thousandth.
  expect([all.length, all.at(-1)]).toEqual([941, ['id-0', 2]])
})

test('an id that is not remembered is looked up, 60 in a minute, and what no integration has is not counted', async () => {
  const { clock, refusals, asked, refuse, taken } = counting(
    (id) => (id === 'unknown' ? result() : undefined),
    (id) => (id === 'stored' ? result('stored') : result()),
  )
  refuse('unknown')
  refuse('stored')
  await refusals.settled()
  expect([asked, taken()]).toEqual([['stored'], [['stored', 1]]])
  for (let i = 0; i < 500; i++) refuse(`invented-${i}`)
  await refusals.settled()
  expect([asked.length, taken()]).toEqual([60, []])
  clock.now = minuteMs
  refuse('later')
  expect(asked.length).toBe(61)
})

test('of several integrations that a request may be for, 20 count it, of the platform alone', () => {
  const others = result('other')
  const ids = Array.from({ length: 50 }, (_, i) => `id-${i}`)
  const { refuse, taken } = counting(() => ({
    ...others,
    entries: [
      { integration: { id: integrationId('pylon'), platform: 'pylon' }, secrets: [] } as never,
      ...result(...ids).entries,
    ],
  }))
  refuse('shared')
  expect(taken()).toEqual(ids.slice(0, 20).map((id) => [id, 1]))
})
