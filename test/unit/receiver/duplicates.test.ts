import { expect, test } from 'vitest'
import { createDuplicates, remember } from '../../../src/receiver/duplicates.ts'

test('a request is a duplicate for ten minutes from the first time, and again after the next first time', () => {
  let now = 1000
  const duplicates = createDuplicates({ now: () => now })
  const at = (minutes: number) => {
    now = 1000 + minutes * 60_000
    return remember(duplicates, ['a'])
  }
  expect([0, 1, 9.9, 10.1, 11, 20, 20.2, 20.3].map(at)).toEqual([false, true, true, false, true, true, false, true])
})

test('one of several that came before is enough, and the others are remembered too', () => {
  const duplicates = createDuplicates()
  expect(remember(duplicates, ['a'])).toBe(false)
  expect(remember(duplicates, ['a', 'b'])).toBe(true)
  expect(remember(duplicates, ['b'])).toBe(true)
  expect(remember(duplicates, [])).toBe(false)
})
