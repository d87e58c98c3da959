import { type UseCounts, useWeeks } from '../data.ts'
import { element, named, scrolling, section } from './dom.ts'
import { count, plural, shortDay } from './words.ts'

const weekMs = 7 * 86_400_000

/** When integrations were last used: how many of each workspace in each week. */
export function useSection({ recorded, rows }: UseCounts, now: number): HTMLElement {
  if (!recorded)
    return section(
      'use',
      'Last use',
      element('p', { class: 'none' }, 'No receiver records use, so it is not known when integrations were last used.'),
    )
  const starts = Array.from({ length: useWeeks }, (_, i) => now - (i + 1) * weekMs)
  const others = rows.some(({ workspace }) => workspace === null)
  return section(
    'use',
    'Last use',
    element(
      'p',
      { class: 'about' },
      `How many active integrations were last used in each week, which begins on the day that heads it${others ? `; the ${rows.length - 1} workspaces with the most integrations have a row of their own` : ''}. The stronger the colour of a cell, the larger its part of the row.`,
    ),
    scrolling(
      'Last use by workspace and week',
      element(
        'table',
        { class: 'heat' },
        element('caption', { class: 'unseen' }, 'Active integrations by workspace and by the week of their last use'),
        element(
          'thead',
          {},
          element(
            'tr',
            {},
            element('th', { scope: 'col' }, 'Workspace'),
            ...[...starts.map(shortDay), 'Earlier', 'Never', 'All'].map((head) =>
              element('th', { scope: 'col' }, head),
            ),
          ),
        ),
        element('tbody', {}, ...rows.map(rowOf)),
      ),
    ),
  )
}

function rowOf({ workspace, integrations, never, earlier, weeks }: UseCounts['rows'][number]): HTMLElement {
  const cell = (number: number, kind: string) =>
    element('td', { class: `${kind}${level(number, integrations)}` }, number === 0 ? '' : count(number))
  return element(
    'tr',
    {},
    element(
      'th',
      { scope: 'row' },
      workspace === null ? element('span', { class: 'dim' }, 'all others') : named(workspace),
    ),
    ...weeks.map((number) => cell(number, 'used')),
    cell(earlier, 'stale'),
    cell(never, 'stale'),
    element('td', { class: 'sum', title: plural(integrations, 'active integration') }, count(integrations)),
  )
}

/** How dark a cell is, from 0 for none to 4 for more than three quarters of the row. */
const level = (number: number, all: number) => (number === 0 ? 0 : Math.min(4, 1 + Math.floor((number / all) * 4)))
