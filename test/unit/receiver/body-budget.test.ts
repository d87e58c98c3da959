import { expect, test } from 'vitest'
import { BodyBudget, type BodyPlace } from '../../../src/receiver/request/body-budget.ts'

const mebibyte = 1_048_576

/** A budget whose clock stands still until it is moved, and the names of the places that were given up. */
function budget() {
  let now = 0
  const gone: string[] = []
  const budget = new BodyBudget({ now: () => now })
  const open = (name: string, sender = name): BodyPlace => {
    const place = budget.open(sender)
    place.onDisplaced(() => gone.push(name))
    return place
  }
  return { budget, open, gone, wait: (ms: number) => (now += ms) }
}

test('large bodies take 48 MiB at most, small ones all 64, and a body that cannot be had holds nothing', () => {
  const { budget: all, open, gone } = budget()
  const large = ['a', 'b'].map((name) => open(name))
  for (const place of large) {
    expect(place.take(24 * mebibyte)).toBe(true)
    place.complete()
  }
  // Nothing is unfinished but this one.
  expect([open('c').take(mebibyte + 1), all.bytes]).toEqual([false, 48 * mebibyte])
  const small = Array.from({ length: 16 }, (_, i) => open(`small ${i}`))
  expect(small.map((place) => place.take(mebibyte))).toEqual(Array(16).fill(true))
  for (const place of small) place.complete()
  expect([all.bytes, open('d').take(1), all.bytes]).toEqual([64 * mebibyte, false, 64 * mebibyte])
  large[0]?.close()
  expect([open('e').take(24 * mebibyte), all.bytes]).toEqual([true, 64 * mebibyte])
  for (const place of [...large, ...small]) place.close()
  expect([all.bytes, gone]).toEqual([24 * mebibyte, ['c', 'd']])
})

test('a body that grows beyond 1 MiB counts as large with all its bytes', () => {
  const { budget: all, open } = budget()
  const growing = open('growing')
  expect([growing.take(mebibyte), growing.take(1)]).toEqual([true, true])
  growing.complete()
  expect([open('a').take(47 * mebibyte), open('b').take(48 * mebibyte - 1), all.bytes]).toEqual([
    false,
    false,
    mebibyte + 1,
  ])
})

test('slow bodies give their places up first, the largest of them before others', () => {
  const { budget: all, open, gone, wait } = budget()
  const slow = [60_000, 40_000].map((bytes) => {
    const place = open(`slow ${bytes}`)
    expect(place.take(bytes)).toBe(true)
    return place
  })
  wait(1000)
  const fast = Array.from({ length: 64 }, (_, i) => open(`fast ${i}`, 'the same'))
  const taken = fast.map((place) => place.take(mebibyte - 1024))
  expect([taken.includes(false), gone, all.bytes]).toEqual([false, ['slow 60000'], 64 * (mebibyte - 1024) + 40_000])
  expect([slow[0]?.take(1), slow[1]?.take(1)]).toEqual([false, true])
})

test('then the largest unfinished body of the sender whose bodies take most gives its place up', () => {
  const { budget: all, open, gone } = budget()
  const strangers = [10, 12, 11].map((size) => open(`stranger ${size}`, 'stranger'))
  for (const [i, place] of strangers.entries()) place.take(([10, 12, 11][i] ?? 0) * mebibyte)
  const tenant = open('tenant')
  expect([tenant.take(15 * mebibyte), tenant.take(4 * mebibyte), gone, all.bytes]).toEqual([
    true,
    true,
    ['stranger 12'],
    40 * mebibyte,
  ])
  tenant.complete()
  // What has arrived as a whole stays.
  expect([open('another', 'stranger').take(20 * mebibyte), gone]).toEqual([false, ['stranger 12', 'another']])
})

test('a body is not slow because it had to wait before it was read', () => {
  const { open, gone, wait } = budget()
  const waited = open('waited')
  wait(5000)
  expect(waited.take(60_000)).toBe(true)
  const others = Array.from({ length: 65 }, (_, i) => open(`other ${i}`, 'the same'))
  for (const place of others) expect(place.take(mebibyte - 1024)).toBe(true)
  expect(gone).toEqual(['other 0'])
})

test('of senders that take as much as another, the slowest body gives its place up, and no large one that comes fast', () => {
  const { budget: all, open, gone, wait } = budget()
  const strangers = Array.from({ length: 47 }, (_, i) => {
    const place = open(`stranger ${i}`)
    expect(place.take(mebibyte + 1 + i)).toBe(true)
    return place
  })
  wait(2000)
  const tenant = open('tenant')
  expect([tenant.take(3 * mebibyte), gone]).toEqual([true, ['stranger 0', 'stranger 1', 'stranger 2']])
  for (const place of strangers) place.close()
  tenant.close()
  expect(all.bytes).toBe(0)
})

test('a block is used again, but not before its place is closed', () => {
  const { open, gone, wait } = budget()
  const [slow, next] = [open('slow'), open('next')]
  const block = slow.block(65_536)
  wait(2000)
  const others = Array.from({ length: 64 }, (_, i) => open(`other ${i}`))
  for (const place of others) expect(place.take(mebibyte - 512)).toBe(true)
  expect(gone).toEqual(['slow'])
  others[0]?.close()
  expect(next.block(65_536)).not.toBe(block)
  slow.close()
  expect([slow.block(65_536), next.block(65_536)]).toEqual([undefined, block])
  expect(next.block(65_536)).not.toBe(block)
})
