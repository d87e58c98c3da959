import sql, { raw, type Sql } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'

/** The longest text that is read, in bytes. A longer one is recognised before it is. */
export const maxTextBytes = 1024 * 1024

/** The biggest whole number that JavaScript tells from its neighbours. */
export const maxWhole = Number.MAX_SAFE_INTEGER

/**
 * SQL that names a column several times. Nearly every column is a text without values, of which one text is made in place
 * of a tree: a change names some hundred columns, and trees of them take longer to put together than the rest of it.
 */
export function naming(column: Sql, write: (name: string) => string): Sql {
  if (column.values.length === 0) return raw(write(column.sql))
  const parts = write('\0').split('\0')
  return sql(parts, ...parts.slice(1).map(() => column))
}

/**
 * After how many bytes an answer may have no more rows; one row is always taken. What is made of an answer takes several
 * times as much.
 */
export const maxAnswerBytes = 4 * 1024 * 1024

/** After how many bytes a page has no more rows. */
export const pageBytes = 512 * 1024

/** How many rows a page has at most. */
export const rowsPerPage = 500

/** In how many rows the first page is looked for, and the next: SQLite reads those that do not fit, too. */
export const firstRows = 25
export const nextRows = ({ rows, after }: { rows: readonly unknown[]; after: number }, most: number): number =>
  Math.min(after > 0 ? rows.length : 4 * rows.length, most)

/** How many bytes of a value are shown that is not a text. */
export const shownBytes = 40

/**
 * What begins the text by which a query tells of a cell that it does not read: its type, how many bytes it has, and the
 * first of them as hex. A text that looks like this is not read either.
 */
const markCharacter = '\u007f'
const mark = /\u007f([a-z]+) (\d+) ([0-9A-F]*)/

/** A well-formed character of several bytes in UTF-8, or a byte that is not part of one; each byte is a character here. */
const sequence =
  /([\xc2-\xdf][\x80-\xbf]|(?:\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f])[\x80-\xbf]|(?:\xf0[\x90-\xbf]|[\xf1-\xf3][\x80-\xbf]|\xf4[\x80-\x8f])[\x80-\xbf]{2})|[\x80-\xff]/g
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes UTF-8. A byte that belongs to no character becomes a lone surrogate, which no character does. */
function decode(bytes: Uint8Array): { readonly text: string; readonly whole: boolean } {
  try {
    return { text: strict.decode(bytes), whole: true }
  } catch {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      .toString('latin1')
      .replace(sequence, (byte, character?: string) =>
        character === undefined
          ? String.fromCharCode(0xdc00 + byte.charCodeAt(0))
          : Buffer.from(character, 'latin1').toString(),
      )
    return { text, whole: false }
  }
}

const loneByte = /[\udc80-\udcff]/gu

/** A text with bytes that belong to no character as escapes, as in `\xff`. */
const escaped = (text: string): string =>
  text.replace(loneByte, (byte) => `\\x${(byte.charCodeAt(0) - 0xdc00).toString(16)}`)

/** What is shown in place of a cell that cannot be read; undefined for a cell that can. */
function shownInPlaceOf(cell: unknown): string | undefined {
  if (typeof cell !== 'string') return undefined
  const [, type, size, hex = ''] = (cell.includes(markCharacter) && mark.exec(cell)) || []
  if (type === undefined) return cell.isWellFormed() ? undefined : escaped(cell)
  const text = escaped(decode(Buffer.from(hex, 'hex')).text)
  return Number(size) > hex.length / 2 ? `${text}… (${size} bytes)` : text
}

/** Rows in JSON, an array of cells each, as objects. */
export function rowsOfJson<Row>(names: readonly string[], json: Uint8Array): (Row & Damageable)[] {
  const { text, whole } = decode(json)
  const rows = JSON.parse(text) as unknown[][]
  // Most pages have nothing of the kind, and looking at every cell takes its time.
  return rowsOf(names, rows, whole && !text.includes(markCharacter))
}

/**
 * Rows of cells, in the order of their names, as objects.
 *
 * @param whole nothing in them is a cell that cannot be read
 */
export function rowsOf<Row>(
  names: readonly string[],
  rows: readonly (readonly unknown[])[],
  whole: boolean,
): (Row & Damageable)[] {
  return rows.map((cells) => {
    const row: Record<string, unknown> = {}
    const damage: string[] = []
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string
      const shown = whole ? undefined : shownInPlaceOf(cells[i])
      if (shown !== undefined) damage.push(name)
      row[name] = shown ?? cells[i]
    }
    return (damage.length > 0 ? { ...row, damage } : row) as Row & Damageable
  })
}
