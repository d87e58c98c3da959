import type { Cell, Tone } from '../tone.ts'
import { gapWidth, type Placed } from './layout.ts'
import { type Drawing, fitCells, type Heading, Measures, widthOf } from './measures.ts'

/** A table that keeps none of its rows: all of them are measured, and then drawn as they come. */
export class LongTable {
  readonly #headings: readonly Heading[]
  readonly #drawing: Drawing
  readonly measures: Measures
  /** The columns that are shown, once something is drawn. */
  #placed: readonly Placed[] | undefined

  constructor(headings: readonly Heading[], drawing: Drawing) {
    this.#headings = headings
    this.#drawing = drawing
    this.measures = new Measures(headings)
  }

  /** Draws the next rows, the first of them below a head. */
  draw(rows: readonly (readonly Cell[])[]): string {
    const isFirst = this.#placed === undefined
    this.#placed ??= this.measures.placed(this.#drawing.width)
    const placed = this.#placed
    const head = isFirst
      ? this.#line(
          placed.map(({ index }) => [this.#headings[index]?.text ?? '', 'head'] as const),
          placed,
        )
      : ''
    return head + rows.map((row) => this.#line(fitCells(row, this.#headings, placed), placed)).join('')
  }

  #line(row: readonly (readonly [text: string, tone: Tone | 'head'])[], placed: readonly Placed[]): string {
    let line = ''
    for (const [i, [text, tone]] of row.entries())
      line +=
        this.#drawing.paint(text, tone) + ' '.repeat(Math.max((placed[i]?.width ?? 0) - widthOf(text), 0) + gapWidth)
    return `${line.trimEnd()}\n`
  }
}
