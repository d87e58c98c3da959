import { raw } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'
import { RowsTooLong } from '../../errors.ts'

/** The longest text that is read, in bytes. A longer one is recognised before it is. */
export const maxTextBytes = 1024 * 1024

/** The biggest whole number that JavaScript tells from its neighbours, as SQL. */
export const maxWhole = raw(String(Number.MAX_SAFE_INTEGER))

/** The longest answer that is taken, in bytes; what is made of it takes as much again, or twice that. */
export const maxPageBytes = 48 * 1024 * 1024

/** About how many bytes a page of a listing takes, and how many rows the first has, before any row was seen. */
const pageBytes = 8 * 1024 * 1024
export const firstPageRows = 25

/**
 * How many rows the next page of a listing may have: so many that it is not too long if each is as long as the longest of
 * these, and no more than four times as many, since the next may be longer.
 */
export function nextPageRows(page: readonly object[], most: number): number {
  let longest = 1
  for (const row of page) {
    let length = 0
    for (const cell of Object.values(row)) if (typeof cell === 'string') length += cell.length
    longest = Math.max(longest, length)
  }
  return Math.min(Math.max(Math.floor(pageBytes / longest), 1), 4 * page.length, most)
}

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
  const [, type, size, hex = ''] = mark.exec(cell) ?? []
  if (type === undefined) return cell.isWellFormed() ? undefined : escaped(cell)
  const text = escaped(decode(Buffer.from(hex, 'hex')).text)
  return Number(size) > hex.length / 2 ? `${text}… (${size} bytes)` : text
}

/** The rows of a page of JSON, an array of cells each, as objects. */
export function rowsOfPage<Row>(names: readonly string[], page: Uint8Array): (Row & Damageable)[] {
  if (page.byteLength > maxPageBytes) throw new RowsTooLong()
  const { text, whole } = decode(page)
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
