import { stringify } from 'csv-stringify/sync'
import { printable } from './text.ts'
import { type Column, plain } from './values.ts'

const records = (lines: string[][]) => stringify(lines, { escape_formulas: true })

/** The line that names the fields. */
export const csvHead = <Row>(columns: readonly Column<Row>[]): string => records([columns.map(({ field }) => field)])

/** Rows as lines of their fields. */
export const csvLines = <Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string =>
  records(rows.map((row) => columns.map(({ value }) => printable(plain(value(row))))))
