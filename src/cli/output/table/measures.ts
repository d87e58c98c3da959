import stringWidth from 'string-width'
import type { Cell, Paint } from '../tone.ts'
import { layout, type Measured, type Placed } from './layout.ts'

/** How a table is drawn. */
export interface Drawing {
  readonly paint: Paint
  /** The terminal's columns; undefined: as wide as it takes. */
  readonly width: number | undefined
}

/** A column of a table as it is to be drawn. */
export interface Heading extends Pick<Measured, 'cut' | 'least' | 'rank'> {
  readonly text: string
  /** Whether it is shown where all of its cells are empty, too. */
  readonly stays: boolean
}

const ascii = /^[\x20-\x7e]*$/

/** How many columns of a terminal a text takes. Most texts are of ASCII, and measuring others takes its time. */
export const widthOf = (text: string): number => (ascii.test(text) ? text.length : stringWidth(text))

/** The widths of a table's columns, of all rows so far. */
export class Measures {
  readonly #headings: readonly Heading[]
  readonly #texts: number[]
  readonly #narrows: number[]

  constructor(headings: readonly Heading[]) {
    this.#headings = headings
    this.#texts = headings.map(() => 0)
    this.#narrows = headings.map(() => 0)
  }

  /** Makes room for rows. */
  add(rows: readonly (readonly Cell[])[]): void {
    for (const row of rows)
      for (const [i, [text, , narrow = text]] of row.entries()) {
        this.#texts[i] = Math.max(this.#texts[i] ?? 0, widthOf(text))
        this.#narrows[i] = Math.max(this.#narrows[i] ?? 0, widthOf(narrow))
      }
  }

  /** The columns that have something to show, as they fit. */
  placed(width: number | undefined): Placed[] {
    const shown = this.#headings
      .map(({ text, stays, ...heading }, index) => ({ ...heading, index, stays, head: widthOf(text) }))
      .map((one) => ({ ...one, text: this.#texts[one.index] ?? 0, narrow: this.#narrows[one.index] ?? 0 }))
      .filter(({ stays, text }) => stays || text > 0)
    return layout(shown, width).map((placed) => ({ ...placed, index: shown[placed.index]?.index ?? 0 }))
  }

  /** The columns that have something to show, and no room. */
  hidden(placed: readonly Placed[]): number[] {
    return [...this.#headings.keys()].filter(
      (i) => (this.#texts[i] ?? 0) > 0 && !placed.some(({ index }) => index === i),
    )
  }
}

/** The cells of a row that are shown, cut to their columns. */
export const fitCells = (
  row: readonly Cell[],
  headings: readonly Heading[],
  placed: readonly Placed[],
): (readonly [text: string, tone: Cell[1]])[] =>
  placed.map(({ index, width, narrow }) => {
    const [text, tone, shorter = text] = row[index] ?? ['', 'plain']
    return [cutTo(narrow ? shorter : text, width, headings[index]?.cut), tone]
  })

const segmenter = new Intl.Segmenter()

/** A text in so many columns of a terminal, with a mark where something of it is left out. */
function cutTo(text: string, width: number, cut: Heading['cut']): string {
  if (cut === undefined || widthOf(text) <= width) return text
  const characters = [...segmenter.segment(text)].map(({ segment }) => segment)
  const ends = cut === 'middle' ? Math.floor((width - 1) / 2) : 0
  const end = fill(characters.toReversed(), ends).reverse().join('')
  return `${fill(characters, width - 1 - ends).join('')}…${end}`
}

/** The first characters that fit so many columns. */
function fill(characters: readonly string[], width: number): string[] {
  const kept: string[] = []
  let left = width
  for (const character of characters) {
    left -= widthOf(character)
    if (left < 0) break
    kept.push(character)
  }
  return kept
}

/** A text in lines of so many columns, between words; a word that is longer has a line of its own. undefined: as wide as it takes. */
export function wrapped(text: string, width: number | undefined): string[] {
  if (width === undefined) return [text]
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && widthOf(line) + 1 + widthOf(word) <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
