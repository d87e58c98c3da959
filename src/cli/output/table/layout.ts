/** A column of a table, measured. */
export interface Measured {
  /** How many columns of the terminal its head takes. */
  readonly head: number
  /** The same for the widest of its texts, and for the widest of their shorter forms. */
  readonly text: number
  readonly narrow: number
  /** Where its texts may be cut; absent: nowhere. */
  readonly cut?: 'middle' | 'end' | undefined
  /** To what its texts are cut at most, as long as a column that matters less can go; absent: as usual. */
  readonly least?: number | undefined
  /** How important it is, 0 first: what matters less goes first where there is no room. */
  readonly rank: number
}

/** A column that is shown. */
export interface Placed {
  /** Its place among those that were measured. */
  readonly index: number
  /** How wide it is, without the gap that follows. */
  readonly width: number
  /** Whether the shorter forms of its texts are shown. */
  readonly narrow: boolean
}

/** What stands between two columns. */
export const gapWidth = 2

/** A text is not cut to less, as long as a column that matters less can go. */
const fewest = { end: 12, middle: 16 } as const

/** How many columns stay, however narrow the terminal is. */
const leastColumns = 2

/**
 * The columns of a table that fit a terminal, each row in one line. Shorter forms are taken first; then long texts are
 * cut, names last; then the columns go that matter least.
 *
 * @param width undefined: as wide as it takes
 */
export function layout(columns: readonly Measured[], width: number | undefined): Placed[] {
  const all = columns.map((column, index) => ({ ...column, index }))
  if (width === undefined)
    return all.map(({ index, head, text }) => ({ index, width: Math.max(head, text), narrow: false }))
  for (let left = all; ; ) {
    const placed = fitted(left, width)
    if (placed) return placed
    if (left.length <= leastColumns) return squeezed(left, width)
    const least = Math.max(...left.map(({ rank }) => rank))
    const gone = left.findLastIndex(({ rank }) => rank === least)
    left = left.filter((_, i) => i !== gone)
  }
}

type Indexed = Measured & { readonly index: number }

/** Undefined where they do not fit, and no text may be cut any further. */
function fitted(columns: readonly Indexed[], width: number): Placed[] | undefined {
  const gaps = gapWidth * (columns.length - 1)
  const over = (widths: readonly number[]) => widths.reduce((sum, one) => sum + one, gaps) - width
  const asWide = (narrow: boolean) => columns.map((one) => Math.max(one.head, narrow ? one.narrow : one.text))
  const placed = (widths: readonly number[], narrow: boolean) =>
    columns.map(({ index }, i) => ({ index, width: widths[i] ?? 0, narrow }))
  const whole = asWide(false)
  if (over(whole) <= 0) return placed(whole, false)
  const widths = asWide(true)
  for (const cut of ['end', 'middle'] as const)
    cutWidest(widths, over(widths), (i) =>
      columns[i]?.cut === cut ? Math.max(columns[i].head, columns[i].least ?? fewest[cut]) : undefined,
    )
  return over(widths) <= 0 ? placed(widths, true) : undefined
}

/** The last columns that are left, cut as far as it takes. */
function squeezed(columns: readonly Indexed[], width: number): Placed[] {
  const widths = columns.map(({ head, narrow }) => Math.max(head, narrow))
  const over = widths.reduce((sum, one) => sum + one, gapWidth * (columns.length - 1)) - width
  cutWidest(widths, over, (i) => (columns[i]?.cut ? 1 : undefined))
  return columns.map(({ index }, i) => ({ index, width: widths[i] ?? 0, narrow: true }))
}

/** Takes from the widest columns until nothing is over. @param least what is left of a column; undefined: all of it */
function cutWidest(widths: number[], over: number, least: (index: number) => number | undefined): void {
  for (let left = over; left > 0; left--) {
    let widest: number | undefined
    for (const [i, width] of widths.entries())
      if (width > (least(i) ?? Number.POSITIVE_INFINITY) && width > (widest === undefined ? 0 : (widths[widest] ?? 0)))
        widest = i
    if (widest === undefined) return
    widths[widest] = (widths[widest] ?? 0) - 1
  }
}
