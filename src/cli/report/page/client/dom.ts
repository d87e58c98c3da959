import { fromNow, moment } from './words.ts'

/** What an element is given: a class, attributes by their names, and listeners on it. Texts are shown as they are, never read as HTML. */
interface Attributes {
  readonly [name: string]: string | number | boolean | undefined
}

/** What is put into an element. */
export type Child = Node | string | number

/** Makes an element of HTML. An attribute that is `true` has no value; one that is `false` or undefined is left out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes,
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  fill(made, attributes, children)
  return made
}

/** Makes an element of SVG. */
export function shape(name: string, attributes: Attributes, ...children: readonly Child[]): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  fill(made, attributes, children)
  return made
}

function fill(made: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : String(value))
  made.append(...children.map((child) => (typeof child === 'number' ? String(child) : child)))
}

/** A section of the page, which its heading names. */
export function section(id: string, title: string, ...children: readonly Child[]): HTMLElement {
  return element(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    element('h2', { id: `${id}-title` }, title),
    ...children,
  )
}

/** A table with a caption for those who do not see it; its first row heads the columns, and the first cell of each other row heads the row. */
export function table(
  caption: string,
  heads: readonly string[],
  rows: readonly (readonly Child[])[],
  { numbersFrom = 1, name = '' } = {},
): HTMLElement {
  const kind = (i: number) => (i >= numbersFrom ? 'number' : undefined)
  const made = element(
    'table',
    { class: name || undefined },
    element('caption', { class: 'unseen' }, caption),
    element(
      'thead',
      {},
      element('tr', {}, ...heads.map((head, i) => element('th', { scope: 'col', class: kind(i) }, head))),
    ),
    element(
      'tbody',
      {},
      ...rows.map((cells) =>
        element(
          'tr',
          {},
          ...cells.map((cell, i) =>
            i === 0 ? element('th', { scope: 'row' }, cell) : element('td', { class: kind(i) }, cell),
          ),
        ),
      ),
    ),
  )
  return scrolling(caption, made)
}

/** What may be wider than the page, and is then scrolled by itself, with keys too. */
export const scrolling = (label: string, child: Element): HTMLElement =>
  element('div', { class: 'scrolling', role: 'region', tabindex: 0, 'aria-label': label }, child)

/** A name of the database: what is written from right to left in it moves nothing beside it. */
export const named = (name: string): HTMLElement =>
  element('bdi', { class: 'name' }, name.trim() === '' ? `"${name}"` : name)

/** An instant of the database, as far as it is from the moment of the report; a text that is no instant is shown as it is. */
export function timeOf(instant: string, now: number): HTMLElement {
  const ms = Date.parse(instant)
  if (Number.isNaN(ms)) return named(instant)
  return element('time', { datetime: instant, title: moment(ms) }, fromNow(ms, now))
}
