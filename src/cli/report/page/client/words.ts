const dayMs = 86_400_000

const numbers = new Intl.NumberFormat('en')
const monthOfYear = new Intl.DateTimeFormat('en', { month: 'short', year: 'numeric', timeZone: 'UTC' })
const month = new Intl.DateTimeFormat('en', { month: 'short', timeZone: 'UTC' })
const shortDate = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
const dayOfMonth = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const dayOfYear = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' })
const time = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' })
const distance = new Intl.RelativeTimeFormat('en')

const units: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 365 * dayMs],
  ['month', 30 * dayMs],
  ['day', dayMs],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]

/** As in `12,345`. */
export const count = (number: number): string => numbers.format(number)

/** As in `1 error` and `12,345 errors`. */
export const plural = (number: number, noun: string): string => `${count(number)} ${noun}${number === 1 ? '' : 's'}`

/** As in `Nov`, and in `Jan 2027` where a year begins. */
export const monthName = (ms: number): string => (new Date(ms).getUTCMonth() === 0 ? monthOfYear : month).format(ms)

/** As in `Nov 3`. */
export const shortDay = (ms: number): string => dayOfMonth.format(ms)

/** As in `November 3, 2026`. */
export const day = (ms: number): string => dayOfYear.format(ms)

/** As in `November 3, 2026, 17:05 UTC`. */
export const moment = (ms: number): string => `${day(ms)}, ${time.format(ms)} UTC`

/** A text whose instants, as in `2026-11-03T17:05:00.000Z`, are told as in `Nov 3, 2026, 17:05 UTC`, each on one line. */
export const readable = (text: string): string =>
  text.replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, (instant) => {
    const ms = Date.parse(instant)
    return Number.isNaN(ms) ? instant : `${shortDate.format(ms)}, ${time.format(ms)} UTC`.replaceAll(' ', '\u00a0')
  })

/** As in `3 days ago` and `in 6 hours`. @param now the moment of the report */
export function fromNow(ms: number, now: number): string {
  if (Math.abs(ms - now) < 10_000) return 'just now'
  const [unit, size] = units.find(([, size]) => Math.abs(ms - now) >= size) ?? ['second', 1000]
  return distance.format(Math.round((ms - now) / size), unit)
}
