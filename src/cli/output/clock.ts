import type { Instant } from '../../brands.ts'
import type { GlobalOptions } from '../host.ts'
import { plural } from './text.ts'

/** A moment, and how times are told at it. */
export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: number
  /** A time as a cell has it, and a shorter form. */
  readonly tell: (instant: Instant) => readonly [text: string, narrow: string]
  /** How long something is valid, to complete "valid", and a shorter form: as in `for 23 more hours` and `for 23h`. */
  readonly validity: (until: Instant) => readonly [text: string, narrow: string]
}

/** Tells times as they are at this moment: from now on, or as a clock in UTC or in the time zone of the process. */
export function clockOf({ utc, local }: Pick<GlobalOptions, 'utc' | 'local'>): Clock {
  const now = Date.now()
  if (!utc && !local)
    return { now, tell: (instant) => fromNow(instant, now), validity: (until) => remaining(until, now) }
  const tell = (instant: Instant) => onTheClock(instant, utc ?? false)
  const validity: Clock['validity'] = (until) => {
    const [text, narrow] = tell(until)
    return [`until ${text}`, `until ${narrow}`]
  }
  return { now, tell, validity }
}

/** As in `2026-01-31 10:00:00Z`; without the Z in the time zone of the process. */
function onTheClock(instant: Instant, utc: boolean): [text: string, narrow: string] {
  const time = new Date(instant)
  // Of a column that holds something else.
  if (Number.isNaN(time.getTime())) return [instant, instant]
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000)
  const text = (utc ? time : local).toISOString().replace('T', ' ')
  const zone = utc ? 'Z' : ''
  return [text.slice(0, 19) + zone, text.slice(0, 16) + zone]
}

const units: readonly [unit: Intl.RelativeTimeFormatUnit, milliseconds: number, sign: string][] = [
  ['year', 365 * 86_400_000, 'y'],
  ['month', 30 * 86_400_000, 'mo'],
  ['day', 86_400_000, 'd'],
  ['hour', 3_600_000, 'h'],
  ['minute', 60_000, 'm'],
  ['second', 1000, 's'],
]

let words: Intl.RelativeTimeFormat | undefined

/** As in `3 days ago` and `3d ago`, or `in 6 hours` and `in 6h`. */
function fromNow(instant: Instant, now: number): [text: string, narrow: string] {
  const distance = Date.parse(instant) - now
  // Of a column that holds something else.
  if (Number.isNaN(distance)) return [instant, instant]
  if (distance <= 0 && distance > -10_000) return ['just now', 'now']
  const [unit, size, sign] = units.find(([, milliseconds]) => Math.abs(distance) >= milliseconds) ?? [
    'second',
    1000,
    's',
  ]
  const count = Math.round(distance / size)
  // Made at first use: reading the words of a language takes 10 ms.
  words ??= new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'long' })
  return [words.format(count, unit), distance < 0 ? `${-count}${sign} ago` : `in ${count}${sign}`]
}

function remaining(until: Instant, now: number): [text: string, narrow: string] {
  const distance = Math.max(Date.parse(until) - now, 0)
  const [unit, size, sign] = units.find(([, milliseconds]) => distance >= milliseconds) ?? ['second', 1000, 's']
  const count = Math.floor(distance / size)
  return [`for ${plural(count, `more ${unit}`)}`, `for ${count}${sign}`]
}
