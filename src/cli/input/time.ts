import { InvalidArgumentError } from 'commander'
import ms, { type StringValue } from 'ms'
import { type Instant, instantOf } from '../../brands.ts'

/** Reads a duration with its unit, as in `24h`, `7d`, `90m` or `0`; in milliseconds. @throws InvalidArgumentError */
export function duration(text: string): number {
  if (text === '0') return 0
  const value = /^\d+(ms|s|m|h|d|w)$/.test(text) ? ms(text as StringValue) : undefined
  if (value === undefined || !Number.isSafeInteger(value) || value > 100 * 365 * 86_400_000)
    throw new InvalidArgumentError('write a number with its unit, as in 90m, 24h or 7d')
  return value
}

/** How help says what `past` reads. */
export const pastForms = 'an instant, a date (its midnight, local time), today, yesterday, or how long ago, as in 7d'

/**
 * Reads a moment before now: an RFC 3339 instant, a date or a date and time in the time zone of this process, `today`,
 * `yesterday`, or how long ago, as in `7d`.
 *
 * @throws InvalidArgumentError
 */
export function past(text: string): Instant {
  try {
    if (text === 'today') return midnight(0)
    if (text === 'yesterday') return midnight(-1)
    return /^\d{4}-/.test(text) ? dated(text) : instantOf(Date.now() - duration(text))
  } catch {
    throw new InvalidArgumentError(
      'write how long ago, as in 7d, today, yesterday, a date, as in 2027-01-31, or an instant, as in 2027-01-31T12:00:00Z',
    )
  }
}

/** How help says what `future` reads. */
export const futureForms = 'a date (its midnight, local time), an instant, or how long from now, as in 30d'

/**
 * Reads a moment that may be ahead: an RFC 3339 instant, a date or a date and time in the time zone of this process, or how
 * long from now, as in `30d`.
 *
 * @throws InvalidArgumentError
 */
export function future(text: string): Instant {
  try {
    return /^\d{4}-/.test(text) ? dated(text) : instantOf(Date.now() + duration(text))
  } catch {
    throw new InvalidArgumentError(
      'write a date, as in 2027-01-31, an instant, as in 2027-01-31T12:00:00Z, or how long from now, as in 30d',
    )
  }
}

/** A date, or a date and a time, in the time zone of this process, or an instant. @throws InvalidArgumentError */
function dated(text: string): Instant {
  const [, date, time] = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?$/.exec(text) ?? []
  return date === undefined ? instant(text) : localInstant(date, time)
}

/** The beginning of a day in the time zone of this process. @param days from today on */
function midnight(days: number): Instant {
  const now = new Date()
  return instantOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).getTime())
}

/** @throws InvalidArgumentError for a date that no calendar has */
function localInstant(date: string, time = '00:00'): Instant {
  // As one in UTC, it is told whether there is such a date.
  instant(`${date}T00:00:00Z`)
  return instantOf(Date.parse(`${date}T${time}`))
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
