import Table from 'cli-table3'
import type { Cell, Paint } from '../tone.ts'
import { gapWidth, type Placed } from './layout.ts'
import { type Drawing, fitCells, type Heading, widthOf, wrapped } from './measures.ts'

const borders = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
  'middle',
] as const

const plainTable = (options: ConstructorParameters<typeof Table>[0]) =>
  new Table({
    ...options,
    chars: Object.fromEntries(borders.map((border) => [border, ''])),
    // cli-table3 would paint heads and borders, into a pipe too.
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': gapWidth },
  })

/** Draws rows below a head. */
export function table(
  headings: readonly Heading[],
  rows: readonly (readonly Cell[])[],
  { paint, placed }: { readonly paint: Paint; readonly placed: readonly Placed[] },
): string {
  const drawn = plainTable({
    head: placed.map(({ index }) => paint(headings[index]?.text ?? '', 'head')),
    colWidths: placed.map(({ width }) => width + gapWidth),
  })
  for (const row of rows) drawn.push(fitCells(row, headings, placed).map(([text, tone]) => paint(text, tone)))
  return `${trimmed(drawn.toString())}\n`
}

/** Draws one thing, a line a field; a text that is too long goes on below its beginning. */
export function record(heads: readonly string[], row: readonly Cell[], { paint, width }: Drawing): string {
  const indent = Math.max(...heads.map(widthOf)) + gapWidth
  const lines = heads.map((head, i) => {
    const [text, tone] = row[i] ?? ['', 'plain']
    const [first = '', ...others] = wrapped(text, width === undefined ? undefined : width - indent)
    const further = others.map((line) => `\n${' '.repeat(indent)}${paint(line, tone)}`).join('')
    return `${paint(head, 'head')}${' '.repeat(indent - widthOf(head))}${paint(first, tone)}${further}\n`
  })
  return trimmed(lines.join(''))
}

const trimmed = (text: string) => text.replace(/ +$/gm, '')
