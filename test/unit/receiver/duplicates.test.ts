import { expect, test } from 'vitest'
import { Duplicates } from '../../../src/receiver/duplicates.ts'

const of = (integrationId: string) => (digest: string) => ({ integrationId, digest })

test('a request is a duplicate for ten minutes from the first time, and again after the next first time', () => {
  let now = 1000
  const duplicates = new Duplicates({ now: () => now })
  const at = (minutes: number) => {
    now = 1000 + minutes * 60_000
    return duplicates.remember([of('one')('a')])
  }
  expect([0, 1, 9.9, 10.1, 11, 20, 20.2, 20.3].map(at)).toEqual([false, true, true, false, true, true, false, true])
})

test('one of several that came before is enough, the others are remembered too, and what is forgotten came never', () => {
  const duplicates = new Duplicates()
  const [a, b] = [of('one')('a'), of('two')('b')]
  expect(duplicates.remember([a])).toBe(false)
  expect(duplicates.remember([a, b])).toBe(true)
  expect(duplicates.remember([b])).toBe(true)
  expect(duplicates.remember([])).toBe(false)
  duplicates.forget([b])
  expect([duplicates.remember([b]), duplicates.remember([a])]).toEqual([false, true])
})

test('many requests to one integration have none of another forgotten, and the oldest of their own', () => {
  const duplicates = new Duplicates()
  const [mine, theirs] = [of('mine'), of('theirs')]
  duplicates.remember([mine('captured')])
  const sent = Array.from({ length: 10_001 }, (_, i) => duplicates.remember([theirs(`${i}`)]))
  expect(sent.includes(true)).toBe(false)
  expect(['captured'].map((digest) => duplicates.remember([mine(digest)]))).toEqual([true])
  expect(['10000', '1', '0'].map((digest) => duplicates.remember([theirs(digest)]))).toEqual([true, true, false])
})

test('200,000 requests are remembered of all integrations, and the integration with the most forgets first', () => {
  const duplicates = new Duplicates()
  const [most, few] = [of('most'), of('few')]
  duplicates.remember([few('a'), most('oldest')])
  duplicates.remember(Array.from({ length: 9999 }, (_, i) => most(String(i))))
  for (let n = 0; n < 21; n++) {
    const other = of(`other ${n}`)
    duplicates.remember(Array.from({ length: 9000 }, (_, i) => other(String(i))))
  }
  // 199,001 are remembered by now.
  duplicates.remember(Array.from({ length: 1100 }, (_, i) => of(`new ${i}`)('a')))
  expect([duplicates.remember([few('a')]), duplicates.remember([most('9998')])]).toEqual([true, true])
  expect([duplicates.remember([most('oldest')]), duplicates.remember([most('0')])]).toEqual([false, false])
})
