import { InvalidArgumentError } from 'commander'
import ms, { type StringValue } from 'ms'
import { type Instant, instantOf } from '../../brands.ts'
import { plural } from '../output/text.ts'

const units: readonly [unit: Intl.RelativeTimeFormatUnit, milliseconds: number][] = [
  ['year', 365 * 86_400_000],
  ['month', 30 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]

let words: Intl.RelativeTimeFormat | undefined

/** An instant seen from now, as in "3 days ago" or "in 6 hours". */
export function relative(instant: Instant, now: number): string {
  const distance = Date.parse(instant) - now
  // Of a column that holds something else.
  if (Number.isNaN(distance)) return instant
  const [unit, size] = units.find(([, milliseconds]) => Math.abs(distance) >= milliseconds) ?? ['second', 1000]
  // Made at first use: reading the words of a language takes 10 ms.
  words ??= new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'long' })
  if (distance <= 0 && distance > -10_000) return 'just now'
  return words.format(Math.round(distance / size), unit)
}

/** How long it is until an instant, as in "23 more hours". */
export function remaining(instant: Instant, now: number): string {
  const distance = Math.max(Date.parse(instant) - now, 0)
  const [unit, size] = units.find(([, milliseconds]) => distance >= milliseconds) ?? ['second', 1000]
  return plural(Math.floor(distance / size), `more ${unit}`)
}

/** Reads a duration with its unit, as in `24h`, `7d`, `90m` or `0`; in milliseconds. @throws InvalidArgumentError */
export function duration(text: string): number {
  if (text === '0') return 0
  const value = /^\d+(ms|s|m|h|d|w)$/.test(text) ? ms(text as StringValue) : undefined
  if (value === undefined || !Number.isSafeInteger(value) || value > 100 * 365 * 86_400_000)
    throw new InvalidArgumentError('write a number with its unit, as in 90m, 24h or 7d')
  return value
}

/** Reads an instant, or how long ago it was, as in `7d`. @throws InvalidArgumentError */
export function past(text: string): Instant {
  try {
    return /^\d{4}-/.test(text) ? instant(text) : instantOf(Date.now() - duration(text))
  } catch {
    throw new InvalidArgumentError('write how long ago, as in 7d, or an instant, as in 2027-01-31T12:00:00Z')
  }
}

/** Reads an RFC 3339 instant; the same in UTC with milliseconds. @throws InvalidArgumentError */
export function instant(text: string): Instant {
  const pattern = /^(\d{4})-(\d\d)-(\d\d)[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/
  const [, year, month, day] = pattern.exec(text) ?? []
  const time = Date.parse(text.replace(' ', 'T'))
  // Date.parse takes February 30 for March 2.
  const exists = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day)
  if (year === undefined || Number(year) === 0 || Number.isNaN(time) || !exists)
    throw new InvalidArgumentError('write an RFC 3339 instant, as in 2027-01-31T12:00:00Z')
  return instantOf(time)
}
