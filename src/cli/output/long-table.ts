import { type Drawing, fit, gapWidth, record, widthOf } from './table.ts'
import type { Cell, Tone } from './tone.ts'

/** A table that keeps none of its rows: all of them are measured, and then drawn as they come. */
export class LongTable {
  readonly #heads: readonly string[]
  readonly #drawing: Drawing
  readonly #whole: number
  readonly #widest: number[]
  /** The widths of the columns, once something is drawn; null where they cannot fit. */
  #widths: readonly number[] | null | undefined

  /** @param whole the column that is never cut: what is left of an id names nothing; -1: none */
  constructor(heads: readonly string[], drawing: Drawing, whole: number) {
    this.#heads = heads
    this.#drawing = drawing
    this.#whole = whole
    this.#widest = heads.map(widthOf)
  }

  /** Makes room for rows. */
  measure(rows: readonly (readonly Cell[])[]): void {
    for (const row of rows)
      for (const [i, [text]] of row.entries()) this.#widest[i] = Math.max(this.#widest[i] ?? 0, widthOf(text))
  }

  /** Draws the next rows, the first of them below a head; where the columns cannot fit, one line a field. */
  draw(rows: readonly (readonly Cell[])[]): string {
    const { paint, width } = this.#drawing
    const isFirst = this.#widths === undefined
    if (this.#widths === undefined) {
      const wanted = this.#widest.map((widest) => widest + gapWidth)
      this.#widths = width === undefined ? wanted : (fit(wanted, width, this.#whole) ?? null)
    }
    const widths = this.#widths
    if (!widths) return `${isFirst ? '' : '\n'}${rows.map((row) => record(this.#heads, row, paint)).join('\n')}`
    const head = isFirst
      ? this.#line(
          this.#heads.map((text) => [text, 'head'] as const),
          widths,
        )
      : ''
    return head + rows.map((row) => this.#line(row, widths)).join('')
  }

  #line(row: readonly (readonly [text: string, tone: Tone | 'head'])[], widths: readonly number[]): string {
    let line = ''
    for (const [i, [text, tone]] of row.entries()) {
      const width = widths[i] ?? 0
      // Only a pooler in statement mode shows rows that were not measured.
      const shown = this.#drawing.width === undefined ? text : cut(text, width - gapWidth)
      line += this.#drawing.paint(shown, tone) + ' '.repeat(Math.max(width - widthOf(shown), gapWidth))
    }
    return `${line.trimEnd()}\n`
  }
}

const segmenter = new Intl.Segmenter()

/** A text in so many columns of a terminal, with a mark where it does not end there. */
function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let shown = ''
  for (const { segment } of segmenter.segment(text)) {
    if (widthOf(shown + segment) >= width) break
    shown += segment
  }
  return `${shown}…`
}
