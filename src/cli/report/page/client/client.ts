/** Draws the page of a report from the data in it. Texts of the database become text nodes, and nothing else. @module */
import type { CodeCounts, GroupCounts, PageChange, PageData } from '../data.ts'
import { type Child, element, named, section, shape, table, timeOf } from './dom.ts'
import { expirySection } from './expiry.ts'
import { badge, type FindingList, findingList } from './findings.ts'
import { useSection } from './use.ts'
import { count, moment, plural, readable } from './words.ts'

const severities = ['error', 'warning', 'unknown'] as const

/** What a severity means, and what findings of it are called. */
const meanings = {
  error: ['error', 'does not work, or will not tomorrow'],
  warning: ['warning', 'somebody should look'],
  unknown: ['unknown finding', 'cannot be told, and does not count as fine'],
} as const

function draw(data: PageData): void {
  const now = Date.parse(data.at)
  document.title = `Integrations report: ${data.database}`
  const list = findingList(data.findings, data.codes, now)
  document
    .getElementById('page')
    ?.replaceChildren(
      heading(data, now),
      totals(data),
      element(
        'div',
        { class: 'beside' },
        element('div', {}, platformSection(data), ...(data.owners.length === 0 ? [] : [ownerSection(data)])),
        codeSection(data.codes, list),
      ),
      expirySection(data.expiry, now),
      useSection(data.use, now),
      list.section,
      ...(data.changes === null ? [] : [changeSection(data.changes, now)]),
      element(
        'footer',
        {},
        `Made by integrations ${data.version}, of one moment and without keys. There is no secret in this file. Commands in it are to be typed where the database is.`,
      ),
    )
}

function heading({ database, at, limits, ignored, ignoredUntil }: PageData, now: number): HTMLElement {
  return element(
    'header',
    {},
    element('h1', {}, 'Integrations report'),
    element(
      'p',
      { class: 'of' },
      element('span', { class: 'database' }, named(database)),
      element('time', { datetime: at }, moment(now)),
    ),
    ...(limits.length === 0
      ? []
      : [element('p', { class: 'limits' }, 'Limited by ', ...limits.map((limit) => element('code', {}, limit)))]),
    ...(ignored === 0
      ? []
      : [
          element(
            'p',
            { class: 'limits' },
            `${plural(ignored, 'more finding')} ignored${ignoredUntil === null ? '' : `, the first until ${readable(ignoredUntil)}`}: `,
            element('code', {}, 'integrations report ignored'),
          ),
        ]),
  )
}

/** How many findings there are of each severity, and how many integrations have none. */
function totals({ codes, platforms, isPartial }: PageData): HTMLElement {
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
  const clean = sum(platforms.map((platform) => platform.clean))
  const inactive = sum(platforms.map((platform) => platform.inactive))
  const active = sum(platforms.map((platform) => platform.integrations)) - inactive
  const tile = (name: string, number: number, label: string, about: string) =>
    element(
      'li',
      { class: `tile ${name}${number === 0 ? ' zero' : ''}` },
      element('span', { class: 'figure' }, count(number)),
      ' ',
      element('span', { class: 'label' }, label),
      ' ',
      element('span', { class: 'about' }, about),
    )
  return section(
    'totals',
    'In short',
    element(
      'ul',
      { class: 'tiles' },
      ...severities.map((severity) => {
        const number = sum(codes.map((code) => (code.severity === severity ? code.count : 0)))
        const [noun, about] = meanings[severity]
        return tile(severity, number, `${noun}${number === 1 ? '' : 's'}`, about)
      }),
      tile(
        'clean',
        clean,
        isPartial ? 'without such a finding' : 'without a finding',
        `of ${plural(active, 'active integration')}${inactive === 0 ? '' : `; ${count(inactive)} inactive`}`,
      ),
    ),
  )
}

function platformSection({ platforms }: PageData): HTMLElement {
  if (platforms.length === 0)
    return section('platforms', 'By platform', element('p', { class: 'none' }, 'There are no integrations.'))
  return section('platforms', 'By platform', groupTable('Platform', platforms))
}

const ownerSection = ({ owners }: PageData) => section('owners', 'By owner', groupTable('Owner', owners))

const groupTable = (head: string, groups: readonly GroupCounts[]) =>
  table(
    `Integrations and findings by ${head.toLowerCase()}`,
    [head, 'Integrations', 'Errors', 'Warnings', 'Unknown', 'No finding'],
    groups.map((one) => [
      one.isRest
        ? element('span', { class: 'dim' }, 'all others')
        : one.name === null
          ? element('span', { class: 'dim' }, 'no owner')
          : named(one.name),
      count(one.integrations),
      ...severities.map((severity) => figure(one[severity], severity)),
      part(one),
    ]),
  )

const figure = (number: number, severity: string): Child =>
  number === 0 ? element('span', { class: 'dim' }, '0') : element('b', { class: `of-${severity}` }, count(number))

/** The part of active integrations that have no finding, as a bar and a number. */
function part({ clean, integrations, inactive }: GroupCounts): Child {
  const active = integrations - inactive
  if (active === 0) return element('span', { class: 'dim' }, 'none active')
  const width = 60
  return element(
    'span',
    { class: 'part' },
    `${count(clean)} of ${count(active)}`,
    shape(
      'svg',
      { viewBox: `0 0 ${width} 8`, width, height: 8, 'aria-hidden': 'true' },
      shape('rect', { class: 'rest', width, height: 8, rx: 4 }),
      ...(clean === 0
        ? []
        : [shape('rect', { class: 'clean', width: Math.max(8, (clean / active) * width), height: 8, rx: 4 })]),
    ),
  )
}

/** What was found, each kind with a button that shows its findings. */
function codeSection(codes: readonly CodeCounts[], list: FindingList): HTMLElement {
  if (codes.length === 0) return section('kinds', 'What was found', element('p', { class: 'none' }, 'Nothing.'))
  return section(
    'kinds',
    'What was found',
    element(
      'ul',
      { class: 'kinds' },
      ...codes.map(({ code, severity, meaning, count: number }) => {
        const button = element(
          'button',
          { type: 'button' },
          badge(severity),
          ' ',
          element('span', { class: 'meaning' }, meaning),
          ' ',
          element('b', {}, count(number)),
        )
        button.addEventListener('click', () => list.show(code))
        return element('li', {}, button)
      }),
    ),
  )
}

function changeSection(changes: readonly PageChange[], now: number): HTMLElement {
  return section(
    'changes',
    `Last ${changes.length > 1 ? `${changes.length} ` : ''}changes`,
    ...(changes.length === 0
      ? [element('p', { class: 'none' }, 'None are recorded.')]
      : [
          table(
            'The last changes, the newest first',
            ['When', 'Change', 'What', 'Who', 'Reason'],
            changes.map(({ at, action, target, who, reason }) => [
              timeOf(at, now),
              action,
              named(target),
              named(who),
              reason === null ? '' : named(reason),
            ]),
            { numbersFrom: 5, name: 'changes' },
          ),
        ]),
  )
}

draw(JSON.parse(document.getElementById('data')?.textContent ?? '') as PageData)
