import { expect, test } from 'vitest'
import { withParts } from '../../src/store/parts.ts'

test('a part is made once, when it is first asked for, and replaced without being made', () => {
  const made: string[] = []
  const part = (name: string) => () => {
    made.push(name)
    return { name }
  }
  const whole = withParts({ fixed: 1 }, { read: part('read'), unused: part('unused') })
  const more = withParts(whole, { unused: part('written'), added: () => ({ of: whole.read }) })
  expect(made).toEqual([])
  const { read, unused } = more
  expect(more.unused === unused && more.read === read && whole.read === read && more.added.of === read).toBe(true)
  expect(made).toEqual(['read', 'written'])
  expect(more).toEqual({
    fixed: 1,
    read: { name: 'read' },
    unused: { name: 'written' },
    added: { of: { name: 'read' } },
  })
})
