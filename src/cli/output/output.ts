import { badInput, IntegrationsError } from '../../errors.ts'
import type { Json } from '../../integration.ts'
import type { Format, GlobalOptions, Host } from '../host.ts'
import { printable, printableJson } from './text.ts'
import { type Cell, painter, type Tone } from './tone.ts'

/** One field of a kind of rows. */
export interface Column<Row> {
  readonly field: string
  /** What heads it in a table; the field's words when absent. */
  readonly head?: string
  /** The value in machine formats. */
  readonly value: (row: Row) => Json
  /** The value in a table, for people; the machine's value when absent. */
  readonly cell?: (row: Row, now: number) => Cell
}

/** How a kind of rows is shown. */
export interface View<Row> {
  readonly columns: readonly Column<Row>[]
  /** The fields of a table, and of text, unless `--fields` says otherwise. */
  readonly short: readonly string[]
  readonly id: (row: Row) => string
}

/** Where answers go (stdout) and everything else (stderr). */
export interface Output {
  /** Whether stdout takes a table, which people read. */
  readonly table: () => boolean
  /** Refuses fields that a view does not have, before anything is done. @throws BAD_INPUT */
  check<Row>(view: View<Row>): void
  /** Refuses a format and fields where the answer is text and nothing else, before anything is done. @throws BAD_INPUT */
  textOnly(): void
  /** Prints rows as they come. */
  rows<Row>(view: View<Row>, source: (emit: (rows: readonly Row[]) => Promise<void>) => Promise<void>): Promise<void>
  /** Prints one thing with all of its fields; in a table and in text, a line a field, unless text has `--fields`. */
  one<Row>(view: View<Row>, row: Row): Promise<void>
  /** Answers a change with what changed: a sentence for people, the thing itself for machines. */
  change<Row>(view: View<Row>, row: Row, sentence: string, next?: readonly string[]): Promise<void>
  /** The same for several things that were to be changed together: machines get a list, also of one. */
  changes<Row>(view: View<Row>, all: readonly Row[], sentence: string, next?: readonly string[]): Promise<void>
  /** Prints text as it is, such as a script or a JSON document. */
  raw(text: string): Promise<void>
  /** Prints help, for somebody who cannot wait; `flush` does. */
  later(text: string): void
  /** Waits for what was printed later. @throws OUTPUT_FAILED */
  flush(): Promise<void>
  /** Prints a JSON document, safe for a terminal; on one line in `jsonl`. @throws BAD_INPUT for a format or fields that it cannot have */
  json(value: Json): Promise<void>
  /** Prints lines to people: as the answer on stdout, or beside a question on stderr. */
  lines(lines: readonly (readonly [text: string, tone: Tone])[], to: 'stdout' | 'stderr'): Promise<void>
  /** Says something to people, on stderr. */
  note(text: string): void
  warn(text: string): void
  /** Reports an error on stderr, in the format asked for. */
  error(error: IntegrationsError, exit: number, retryable: boolean): void
}

/** Opens the output of a host; `options` are read when something is printed. */
export function createOutput(host: Host, options: () => GlobalOptions): Output {
  const { stdout, stderr } = host
  // Failures reach whoever waits for the write; without a listener they would end the process as well.
  stdout.on('error', () => {})
  stderr.on('error', () => {})

  const write = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      stdout.write(text, (error) => (error ? reject(outputFailed(error)) : resolve()))
    })
  let late = ''
  const say = (text: string) => void stderr.write(`${text}\n`)
  const paint = () => painter(host.env, stdout.isTTY)
  const format = (): Format | 'text' => options().output ?? (stdout.isTTY ? 'table' : 'text')
  const json = (value: Json, indent?: number) => printableJson(JSON.stringify(value, null, indent))

  function chosen<Row>(view: View<Row>, all: boolean): readonly Column<Row>[] {
    const fields = options().fields
    if (fields === undefined)
      return all
        ? view.columns
        : view.columns
            .filter((column) => view.short.includes(column.field))
            .sort((a, b) => view.short.indexOf(a.field) - view.short.indexOf(b.field))
    return fields.map((field) => {
      const column = view.columns.find((one) => one.field === field)
      if (!column)
        throw badInput(
          `there is no field ${JSON.stringify(field)}`,
          `the fields are ${view.columns.map((one) => one.field).join(', ')}`,
        )
      return column
    })
  }

  function object<Row>(columns: readonly Column<Row>[], row: Row): { [field: string]: Json } {
    const fields: { [field: string]: Json } = {}
    for (const { field, value } of columns) fields[field] = value(row)
    return fields
  }

  async function rows<Row>(
    view: View<Row>,
    source: (emit: (rows: readonly Row[]) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const kind = format()
    const columns = chosen(view, kind === 'json' || kind === 'jsonl' || kind === 'csv')
    switch (kind) {
      case 'json': {
        let any = false
        await source(async (batch) => {
          if (batch.length === 0) return
          const text = batch.map((row) => indented(json(object(columns, row), 2))).join(',\n')
          await write(`${any ? ',\n' : '[\n'}${text}`)
          any = true
        })
        return write(any ? '\n]\n' : '[]\n')
      }
      case 'jsonl':
        return source((batch) => write(batch.map((row) => `${json(object(columns, row))}\n`).join('')))
      case 'id':
        return source((batch) =>
          write(batch.map((row) => `${stdout.isTTY ? printable(view.id(row)) : view.id(row)}\n`).join('')),
        )
      case 'text':
        return source((batch) =>
          write(
            batch.map((row) => `${columns.map(({ value }) => printable(plain(value(row)))).join('\t')}\n`).join(''),
          ),
        )
      case 'csv': {
        const { stringify } = await import('csv-stringify/sync')
        const safe = (text: string) => (stdout.isTTY ? printable(text) : text)
        const records = (lines: string[][]) => stringify(lines, { escape_formulas: true })
        await write(records([columns.map(({ field }) => field)]))
        return source((batch) =>
          write(records(batch.map((row) => columns.map(({ value }) => safe(plain(value(row))))))),
        )
      }
      case 'table': {
        const collected: Row[] = []
        await source(async (batch) => {
          for (const row of batch) collected.push(row)
        })
        if (collected.length === 0) return
        const { table } = await import('./table.ts')
        return write(table(columns.map(heading), cells(columns, collected), await paint(), width()))
      }
    }
  }

  const width = () => (stdout.isTTY ? stdout.columns || 80 : undefined)
  const cells = <Row>(columns: readonly Column<Row>[], collected: readonly Row[]) => {
    const now = Date.now()
    return collected.map((row) =>
      columns.map((column): readonly [string, Tone] => {
        const [text, tone] = column.cell?.(row, now) ?? [plain(column.value(row)), 'plain']
        return [printable(text), tone]
      }),
    )
  }

  async function one<Row>(view: View<Row>, row: Row): Promise<void> {
    const kind = format()
    if (kind === 'json') return write(`${json(object(chosen(view, true), row), 2)}\n`)
    // Fields that were asked for are known, and stand alone.
    if (kind !== 'table' && (kind !== 'text' || options().fields)) return rows(view, (emit) => emit([row]))
    const columns = chosen(view, true)
    if (kind === 'text')
      return write(columns.map(({ field, value }) => `${field}\t${printable(plain(value(row)))}\n`).join(''))
    const { record } = await import('./table.ts')
    return write(record(columns.map(heading), cells(columns, [row])[0] ?? [], await paint()))
  }

  async function told(sentence: string, next: readonly string[] = [], print: () => Promise<void>): Promise<void> {
    if (format() === 'table') await write(`${printable(sentence)}\n`)
    else {
      say(printable(sentence))
      await print()
    }
    if (next.length > 0) say(`next: ${next.map(printable).join('\n      ')}`)
  }

  return {
    table: () => format() === 'table',
    check: (view) => void chosen(view, true),
    textOnly: () => {
      if ((options().output ?? 'table') !== 'table' || options().fields)
        throw badInput('the answer is text, which has no other form and no fields', 'leave -o and --fields out')
    },
    rows,
    one,
    change: (view, row, sentence, next) =>
      told(sentence, next, () => (format() === 'text' ? rows(view, (emit) => emit([row])) : one(view, row))),
    changes: (view, all, sentence, next) => told(sentence, next, () => rows(view, (emit) => emit(all))),
    raw: (text) => write(text),
    later: (text) => {
      late += text
    },
    flush: async () => {
      if (late !== '') await write(late)
    },
    json: async (value) => {
      const kind = format()
      if (kind === 'csv' || kind === 'id' || options().fields)
        throw badInput(
          'this is a JSON document, without fields to choose or put in columns',
          'leave --fields out, and -o, or pass -o json',
        )
      await write(`${json(value, kind === 'jsonl' ? undefined : 2)}\n`)
    },
    lines: async (lines, to) => {
      const colour = await painter(host.env, host[to].isTTY)
      const text = lines.map(([line, tone]) => colour(printable(line), tone)).join('\n')
      if (to === 'stdout') await write(`${text}\n`)
      else say(text)
    },
    note: (text) => say(printable(text)),
    warn: (text) => say(`warning: ${printable(text)}`),
    error: ({ code, message, hint, committed }, exit, retryable) => {
      const kind = options().output
      if (kind === 'json' || kind === 'jsonl') say(json({ error: { code, message, hint, exit, retryable, committed } }))
      else say(`error: ${printable(message)}${hint === '' ? '' : `\nhint: ${printable(hint)}`}`)
    },
  }
}

/** The text of a value: nothing for null, JSON for what is not one word. */
function plain(value: Json): string {
  if (value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const indented = (text: string) => text.replace(/^/gm, '  ')

// lastUsedAt -> LAST USED AT
const heading = ({ field, head }: { readonly field: string; readonly head?: string }) =>
  (head ?? field.replace(/[A-Z]/g, (letter) => ` ${letter}`)).toUpperCase()

const outputFailed = (cause: NodeJS.ErrnoException) =>
  new IntegrationsError({
    code: 'OUTPUT_FAILED',
    message: 'the output could not be written',
    hint: 'see that the disk has room, and run it again',
    cause,
  })
