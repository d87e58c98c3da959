import { afterEach, expect, test, vi } from 'vitest'
import { future, past } from '../../../src/cli/input/time.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('a moment before now is a day, a date, an instant or how long ago', () => {
  vi.useFakeTimers({ now: new Date(2026, 2, 1, 14, 3, 5), toFake: ['Date'] })
  const moments: Record<string, Date> = {
    today: new Date(2026, 2, 1),
    yesterday: new Date(2026, 1, 28),
    '2026-11-01': new Date(2026, 10, 1),
    '2026-11-01 14:03': new Date(2026, 10, 1, 14, 3),
    '2026-11-01T14:03:09': new Date(2026, 10, 1, 14, 3, 9),
    '2026-11-01T14:03:09+02:00': new Date('2026-11-01T12:03:09.000Z'),
    '7d': new Date(2026, 1, 22, 14, 3, 5),
  }
  for (const [text, moment] of Object.entries(moments)) expect(past(text), text).toBe(moment.toISOString())
  for (const text of ['2026-02-29', '2026-13-01', '2026-11-01 25:00', '2026-11-01 14', 'Monday', '7', ''])
    expect(() => past(text), text).toThrow('write how long ago')
})

test('a moment ahead is a date, an instant or how long from now', () => {
  vi.useFakeTimers({ now: new Date(2026, 2, 1, 14, 3, 5), toFake: ['Date'] })
  const moments: Record<string, Date> = {
    '2026-11-01': new Date(2026, 10, 1),
    '2026-11-01 14:03': new Date(2026, 10, 1, 14, 3),
    '2026-11-01T14:03:09+02:00': new Date('2026-11-01T12:03:09.000Z'),
    '30d': new Date(2026, 2, 31, 14, 3, 5),
  }
  for (const [text, moment] of Object.entries(moments)) expect(future(text), text).toBe(moment.toISOString())
  for (const text of ['2026-02-29', 'today', '7', '']) expect(() => future(text), text).toThrow('how long from now')
})
