import { type ExpiryCounts, expiryWeeksBack } from '../data.ts'
import { element, named, scrolling, section, shape, table } from './dom.ts'
import { count, day, fromNow, monthName, plural, shortDay } from './words.ts'

const weekMs = 7 * 86_400_000

const width = 1040
const height = 190
const top = 26
const bottom = 26
const left = 44
const right = 8

/** When access tokens expire: how many in each week, and the next by name. */
export function expirySection(expiry: ExpiryCounts, now: number): HTMLElement {
  const { weeks, next } = expiry
  const start = (i: number) => now + (i - expiryWeeksBack) * weekMs
  const known = weeks.some(({ all }) => all > 0)
  const owned = next.some(({ owner }) => owner !== null)
  const beyond = [
    [expiry.earlier, 'expired earlier'],
    [expiry.later, 'later'],
    [expiry.never, 'never'],
    [expiry.unknown, 'not known'],
  ] as const
  const replaced = (from: number, to?: number) => weeks.slice(from, to).some((week) => week.all > week.refreshed)
  const keys = [
    [replaced(0, expiryWeeksBack), 'past', 'has expired'],
    [replaced(expiryWeeksBack, expiryWeeksBack + 1), 'due', 'has to be replaced within a week'],
    [replaced(expiryWeeksBack + 1), 'ahead', 'has to be replaced'],
    [weeks.some(({ refreshed }) => refreshed > 0), 'refreshed', 'is refreshed by the program'],
  ] as const
  return section(
    'expiry',
    'Expiry of access tokens',
    element(
      'p',
      { class: 'about' },
      'How many access tokens of active integrations expire in each week, from 90 days before the report to a year after it.',
    ),
    ...(known
      ? [scrolling('Expiry by week', timeline(expiry, now))]
      : [element('p', { class: 'none' }, 'No access token expires in this time.')]),
    element(
      'ul',
      { class: 'legend' },
      ...keys.flatMap(([shown, name, words]) => (shown ? [element('li', { class: `key-${name}` }, words)] : [])),
      ...beyond.flatMap(([number, words]) =>
        number === 0 ? [] : [element('li', {}, `${words}: `, element('b', {}, count(number)))],
      ),
    ),
    element('h3', {}, 'Next to be replaced'),
    next.length === 0
      ? element('p', { class: 'none' }, 'None whose expiry is known.')
      : table(
          'Access tokens that are next to be replaced',
          ['Integration', 'Platform', ...(owned ? ['Owner'] : []), 'Expires', 'Time left'],
          next.map(({ integration, platform, owner, at }) => {
            const ms = Date.parse(at)
            const who = owned ? [owner === null ? '' : named(owner)] : []
            return [named(integration), named(platform), ...who, day(ms), fromNow(ms, now)]
          }),
          { numbersFrom: 5, name: 'dates' },
        ),
    ...(known
      ? [
          element(
            'details',
            {},
            element('summary', {}, 'The weeks in numbers'),
            table(
              'Access tokens that expire in each week',
              ['Week from', 'Expire', 'Of these refreshed'],
              weeks.flatMap(({ all, refreshed }, i) =>
                all === 0 ? [] : [[day(start(i)), count(all), count(refreshed)]],
              ),
            ),
          ),
        ]
      : []),
  )
}

function timeline({ weeks }: ExpiryCounts, now: number): SVGElement {
  const most = niceMost(Math.max(...weeks.map(({ all }) => all)))
  const step = (width - left - right) / weeks.length
  const x = (i: number) => round(left + i * step)
  const floor = height - bottom
  const y = (number: number) => round(floor - (number / most) * (floor - top))
  const start = (i: number) => now + (i - expiryWeeksBack) * weekMs
  const bars = weeks.flatMap(({ all, refreshed }, i) => {
    if (all === 0) return []
    const bar = (name: string, from: number, to: number) =>
      shape('rect', {
        class: name,
        x: x(i) + 1.5,
        y: y(to),
        width: round(step - 3),
        height: round(y(from) - y(to)),
        rx: 1.5,
      })
    const label = `${plural(all, 'token')} in the week from ${shortDay(start(i))}${refreshed === 0 ? '' : `, ${count(refreshed)} of them refreshed`}`
    const past = i < expiryWeeksBack ? 'past' : i === expiryWeeksBack ? 'due' : 'ahead'
    return [
      shape(
        'g',
        {},
        shape('title', {}, label),
        ...(all > refreshed ? [bar(`bar ${past}`, refreshed, all)] : []),
        ...(refreshed > 0 ? [bar('bar refreshed', 0, refreshed)] : []),
      ),
    ]
  })
  const lines = [most, most / 2]
    .filter(Number.isInteger)
    .flatMap((number) => [
      shape('line', { class: 'rule', x1: left, x2: width - right, y1: y(number), y2: y(number) }),
      shape('text', { class: 'axis', x: left - 8, y: y(number) + 4, 'text-anchor': 'end' }, count(number)),
    ])
  const today = x(expiryWeeksBack)
  return shape(
    'svg',
    {
      class: 'timeline',
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': 'A bar for each week in which access tokens expire; the numbers are in the table below',
    },
    ...lines,
    ...months(start(0), start(weeks.length)).map((ms) => {
      const at = round(left + ((ms - start(0)) / weekMs) * step)
      return shape(
        'g',
        {},
        shape('line', { class: 'tick', x1: at, x2: at, y1: floor, y2: floor + 5 }),
        shape('text', { class: 'axis', x: at + 4, y: floor + 16 }, monthName(ms)),
      )
    }),
    shape('line', { class: 'base', x1: left, x2: width - right, y1: floor, y2: floor }),
    ...bars,
    shape('line', { class: 'now', x1: today, x2: today, y1: 14, y2: floor }),
    shape('text', { class: 'now-word', x: today + 6, y: 20 }, 'report'),
    shape('text', { class: 'axis', x: today - 6, y: 20, 'text-anchor': 'end' }, 'expired'),
  )
}

/** The beginnings of months within a time, but for one that would be cut off at its end. */
function months(from: number, to: number): number[] {
  const first = new Date(from)
  const starts = Array.from({ length: 16 }, (_, i) => Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1 + i, 1))
  return starts.filter((ms) => ms < to - 3 * weekMs)
}

/** The least number that is no less and easy to read on an axis, as is its half. */
function niceMost(number: number): number {
  const size = 10 ** Math.max(0, Math.floor(Math.log10(number)))
  return [1, 1.2, 1.6, 2, 4, 6, 8, 10].map((factor) => factor * size).find((nice) => nice >= number) ?? number
}

const round = (number: number) => Math.round(number * 100) / 100
