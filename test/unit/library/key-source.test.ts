import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Keys, keySource } from '../../../src/library/key-source.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

test('a function that gives no key set keeps nobody waiting', async () => {
  const loading = keySource({ set: () => new Promise(() => {}) }, 'store')
    .load(undefined)
    .catch((error) => error)
  await vi.advanceTimersByTimeAsync(30_000)
  expect(await loading).toMatchObject({
    code: 'KEYS_MISSING',
    message: 'the function of the key set of the store has not answered for 30 s',
  })
  expect(vi.getTimerCount()).toBe(0)
})

test('an application that names no keys is told so', () => {
  expect(() => keySource(undefined as unknown as Keys, 'store')).toThrow('the store has no keys')
})
