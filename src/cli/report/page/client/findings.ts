import type { CodeCounts, PageFinding } from '../data.ts'
import { element, named, section, timeOf } from './dom.ts'
import { count, plural, readable } from './words.ts'

/** How many findings are shown at once. */
const shownAtOnce = 100
/** How many are printed: with the rest of the page, there are never more than 500 rows. */
const printedAtOnce = 300

/** The list of findings, and how another part of the page has it show those of one code. */
export interface FindingList {
  readonly section: HTMLElement
  show(code: string): void
}

/** A finding with what the filter looks through. */
interface Entry {
  readonly finding: PageFinding
  readonly kind: CodeCounts
  readonly text: string
}

/** The findings, with a filter. */
export function findingList(findings: readonly PageFinding[], codes: readonly CodeCounts[], now: number): FindingList {
  const kinds = new Map(codes.map((kind) => [kind.code, kind]))
  const entries = findings.flatMap((finding): Entry[] => {
    const kind = kinds.get(finding.code)
    return kind ? [{ finding, kind, text: textOf(finding, kind) }] : []
  })
  const all = codes.reduce((sum, { count }) => sum + count, 0)
  if (all === 0)
    return {
      section: section('findings', 'Findings', element('p', { class: 'none' }, 'None.')),
      show: () => {},
    }

  const input = element('input', { type: 'search', id: 'filter', autocomplete: 'off', spellcheck: 'false' })
  const status = element('p', { role: 'status', class: 'status' })
  const body = element('tbody', { role: 'rowgroup' })
  const previous = element('button', { type: 'button' }, 'Previous')
  const next = element('button', { type: 'button' }, 'Next')
  let from = 0

  const draw = (size: number) => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean)
    const matching =
      words.length === 0 ? entries : entries.filter(({ text }) => words.every((word) => text.includes(word)))
    if (from >= matching.length) from = 0
    const shown = matching.slice(from, from + size)
    body.replaceChildren(...shown.map((entry) => row(entry, now)))
    const place = shown.length < matching.length ? `${count(from + 1)} to ${count(from + shown.length)} of ` : ''
    const left = all > entries.length ? `, the first of ${count(all)} in all` : ''
    status.textContent =
      matching.length === 0
        ? 'no finding matches'
        : `${place}${plural(matching.length, 'finding')}${words.length > 0 ? ' that match' : left}`
    previous.disabled = from === 0
    next.disabled = from + size >= matching.length
    pager.hidden = previous.disabled && next.disabled
  }
  const pager = element('nav', { class: 'pager', 'aria-label': 'Pages of findings' }, previous, next)
  const turn = (by: number) => {
    from = Math.max(0, from + by)
    draw(shownAtOnce)
    made.scrollIntoView()
  }
  input.addEventListener('input', () => {
    from = 0
    draw(shownAtOnce)
  })
  previous.addEventListener('click', () => turn(-shownAtOnce))
  next.addEventListener('click', () => turn(shownAtOnce))
  addEventListener('beforeprint', () => draw(printedAtOnce))
  addEventListener('afterprint', () => draw(shownAtOnce))
  const made = section(
    'findings',
    'Findings',
    element('div', { class: 'controls' }, element('label', { for: 'filter' }, 'Filter'), input, status),
    listTable(body),
    pager,
  )
  draw(shownAtOnce)
  return {
    section: made,
    show: (code) => {
      input.value = code
      from = 0
      draw(shownAtOnce)
      made.scrollIntoView()
      input.focus({ preventScroll: true })
    },
  }
}

const textOf = ({ code, integration, platform, owner, evidence }: PageFinding, { severity, meaning }: CodeCounts) =>
  [severity, code, meaning, integration ?? 'the database', platform ?? '', owner ?? '', evidence]
    .join(' ')
    .toLowerCase()

// A narrow screen shows each row as a card; the roles keep what the display of a card would take from a table.
const listTable = (body: HTMLElement) =>
  element(
    'table',
    { class: 'list', role: 'table' },
    element('caption', { class: 'unseen' }, 'Findings, the worst first'),
    element(
      'thead',
      { role: 'rowgroup' },
      element(
        'tr',
        { role: 'row' },
        ...(
          [
            ['severity', 'Severity'],
            ['what', 'Finding'],
            ['who', 'Integration'],
            ['since', 'Since'],
            ['next', 'What to type'],
          ] as const
        ).map(([name, head]) => element('th', { role: 'columnheader', scope: 'col', class: name }, head)),
      ),
    ),
    body,
  )

function row(
  { finding: { code, integration, platform, owner, since, evidence, next }, kind }: Entry,
  now: number,
): HTMLElement {
  const cell = (name: string, ...children: (Node | string)[]) =>
    element('td', { role: 'cell', class: name }, ...children)
  return element(
    'tr',
    { role: 'row' },
    cell('severity', badge(kind.severity)),
    cell(
      'what',
      element('span', { class: 'meaning' }, kind.meaning),
      ' ',
      ...(evidence === kind.meaning ? [] : [element('span', { class: 'evidence' }, named(readable(evidence))), ' ']),
      element('span', { class: 'code' }, code),
    ),
    cell(
      'who',
      integration === null ? element('span', { class: 'dim' }, 'the database') : named(integration),
      ...(platform === null ? [] : [' ', element('span', { class: 'platform' }, named(platform))]),
      ...(owner === null ? [] : [' ', element('span', { class: 'owner' }, 'owner ', named(owner))]),
    ),
    cell('since', since === null ? element('span', { class: 'dim' }, 'not known') : timeOf(since, now)),
    cell('next', ...(next === null ? [] : [element('code', {}, next)])),
  )
}

/** A severity, as a word on a colour. */
export const badge = (severity: string): HTMLElement => element('span', { class: `badge ${severity}` }, severity)
