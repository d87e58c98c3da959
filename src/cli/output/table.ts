import Table from 'cli-table3'
import stringWidth from 'string-width'
import type { Cell, Paint } from './tone.ts'

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
const minWidth = 10

/** What stands between two columns. */
export const gapWidth = 2

/** How a table is drawn. */
export interface Drawing {
  readonly paint: Paint
  /** The terminal's columns; undefined: as wide as it takes. */
  readonly width: number | undefined
}

const ascii = /^[\x20-\x7e]*$/

/** How many columns of a terminal a text takes. Most texts are of ASCII, and measuring others takes its time. */
export const widthOf = (text: string): number => (ascii.test(text) ? text.length : stringWidth(text))

const plainTable = (options: ConstructorParameters<typeof Table>[0]) =>
  new Table({
    ...options,
    chars: Object.fromEntries(borders.map((border) => [border, ''])),
    // cli-table3 would paint heads and borders, into a pipe too.
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': gapWidth },
  })

/** Draws rows below a head, in columns that fit `width`; where they cannot, one line a field. */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[], { paint, width }: Drawing): string {
  const wanted = heads.map(
    (head, i) => rows.reduce((widest, row) => Math.max(widest, widthOf(row[i]?.[0] ?? '')), widthOf(head)) + gapWidth,
  )
  const widths = width === undefined ? wanted : fit(wanted, width)
  if (!widths) return rows.map((row) => record(heads, row, paint)).join('\n')
  const drawn = plainTable({ head: heads.map((head) => paint(head, 'head')), colWidths: widths })
  for (const row of rows) drawn.push(row.map(([text, tone]) => paint(text, tone)))
  return `${trimmed(drawn.toString())}\n`
}

/** Draws one thing, a line a field. */
export function record(heads: readonly string[], row: readonly Cell[], paint: Paint): string {
  const width = Math.max(...heads.map(widthOf)) + gapWidth
  const lines = heads.map((head, i) => {
    const [text, tone] = row[i] ?? ['', 'plain']
    return `${paint(head, 'head')}${' '.repeat(width - widthOf(head))}${paint(text, tone)}\n`
  })
  return trimmed(lines.join(''))
}

/**
 * Takes from the widest columns until the sum fits; undefined when a column would get too narrow to say anything.
 *
 * @param whole a column that is left as it is
 */
export function fit(wanted: readonly number[], width: number, whole = -1): number[] | undefined {
  const widths = [...wanted]
  const others = [...widths.keys()].filter((i) => i !== whole)
  for (let over = widths.reduce((sum, one) => sum + one, 0) - width; over > 0; over--) {
    const most = Math.max(...others.map((i) => widths[i] ?? 0))
    const widest = others.find((i) => widths[i] === most)
    if (widest === undefined || most <= minWidth + gapWidth) return undefined
    widths[widest] = most - 1
  }
  return widths
}

const trimmed = (text: string) => text.replace(/ +$/gm, '')
