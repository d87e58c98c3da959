import { type Damageable, damageText } from '../../damage.ts'
import { badInput, type IntegrationsError } from '../../errors.ts'
import type { Json } from '../../json.ts'
import { type Format, formatOf, type GlobalOptions, isJson, type Streams } from '../host.ts'
import { clockOf } from './clock.ts'
import { fitHelp } from './help-text.ts'
import { Stdout } from './stdout.ts'
import { printRecord, printTable, type TableOptions } from './table/table-rows.ts'
import { printable, printableJson } from './text.ts'
import { type Cell, painter } from './tone.ts'
import {
  type Answer,
  type Column,
  changeView,
  columnsOf,
  type Emit,
  object,
  plain,
  type RowSource,
  type View,
} from './values.ts'

type Unmeasured<Row> = (emit: Emit<Row>) => Promise<void>

/** The formats of a JSON document, which is printed without `-o` too. */
const documentFormats: readonly Format[] = ['table', 'json', 'jsonl']
const jsonHint = 'leave --fields out; leave -o out, or pass -o json'

/** Where answers go (stdout) and everything else (stderr). */
export class Output {
  readonly #host: Streams
  readonly #options: () => GlobalOptions
  readonly #stdout: Stdout
  #late = ''

  /** @param options read when something is printed */
  constructor(host: Streams, options: () => GlobalOptions) {
    this.#host = host
    this.#options = options
    this.#stdout = new Stdout(host, (text) => this.warn(text))
    host.stderr.on('error', () => {})
  }

  /** Whether stdout takes a table, which people read. */
  table(): boolean {
    return this.#format() === 'table'
  }

  /** Whether ids of a view's rows are shown shortened: to people who see them on a terminal. */
  shortensIds<Row>(view: View<Row>): boolean {
    return this.table() && this.#host.stdout.isTTY && this.#columns(view, false).some(({ field }) => field === 'id')
  }

  /** Refuses fields that a view does not have, before anything is done. @throws BAD_INPUT */
  check<Row>(view: View<Row>): void {
    this.#columns(view, true)
  }

  /** Refuses a format and fields where the answer is text and nothing else, before anything is done. @throws BAD_INPUT */
  textOnly(): void {
    if (!this.#isOneOf(['table']))
      throw badInput('the output is text, without other formats and fields', 'leave -o and --fields out')
  }

  /** Refuses other formats and fields where the answer is text or a JSON document, before anything is done. @throws BAD_INPUT */
  textOrJsonOnly(): void {
    if (!this.#isOneOf(documentFormats))
      throw badInput('the output is text or JSON, without other formats and fields', jsonHint)
  }

  /**
   * Prints rows as they come.
   *
   * @param options `endEarly`: when stdout has no reader any more, because nothing but the rows comes of the source; `paged`:
   *   a pager may show a long table, which is not of a change, as its outcome is waited for
   */
  rows<Row>(view: View<Row>, source: RowSource<Row>, { endEarly = false, paged = false } = {}): Promise<void> {
    return this.#stdout.stream((goOn) => {
      const warned: RowSource<Row> = (emit, measure) =>
        source(async (batch, idLength) => {
          for (const row of batch) this.#warnOf(view, row)
          await emit(batch, idLength)
          if (endEarly) goOn()
        }, measure)
      return this.#rows(view, warned, paged)
    })
  }

  /** Warns of a row that was shown with fields that cannot be read. */
  #warnOf<Row>(view: View<Row>, row: Row): void {
    const { damage } = row as Damageable
    if (damage) this.warn(damageText(view.id(row), damage))
  }

  async #rows<Row>(view: View<Row>, source: RowSource<Row>, paged = false): Promise<void> {
    const kind = this.#format()
    const columns = this.#columns(
      kind === 'table' ? { ...view, short: [...view.short, ...(view.notable ?? [])] } : view,
      kind === 'json' || kind === 'jsonl' || kind === 'csv',
    )
    const unmeasured: Unmeasured<Row> = (emit) => source(emit, async () => {})
    const each = (line: (row: Row) => string) =>
      unmeasured((batch) => this.raw(batch.map((row) => `${line(row)}\n`).join('')))
    switch (kind) {
      case 'json':
        return this.#jsonRows(columns, unmeasured)
      case 'jsonl':
        return each((row) => json(object(columns, row)))
      case 'id':
        return each((row) => (this.#host.stdout.isTTY ? printable(view.id(row)) : view.id(row)))
      case 'text':
        return each((row) => columns.map(({ value }) => printable(plain(value(row)))).join('\t'))
      case 'csv':
        return this.#csvRows(columns, unmeasured)
      case 'table':
        return this.#tableRows(view, columns, { source, paged })
      default:
        kind satisfies never
    }
  }

  /**
   * Prints one thing with all of its fields; in a table and in text, a line a field, unless text has `--fields`. A table
   * leaves those out that are empty.
   */
  async one<Row>(view: View<Row>, row: Row): Promise<void> {
    this.#warnOf(view, row)
    const kind = this.#format()
    const columns = this.#columns(view, true)
    if (kind === 'json') return this.raw(`${json(object(columns, row), 2)}\n`)
    // Fields that were asked for are known, and stand alone.
    if (kind !== 'table' && (kind !== 'text' || this.#options().fields)) return this.#rows(view, (emit) => emit([row]))
    if (kind === 'text')
      return this.raw(columns.map(({ field, value }) => `${field}\t${printable(plain(value(row)))}\n`).join(''))
    await printRecord(columns, row, { ...(await this.#tableOptions(view)), redundant: view.redundant })
  }

  /** Answers a change with what changed: a sentence for people, the thing itself for machines. */
  change<Row>(view: View<Row>, row: Row, answer: Answer): Promise<void> {
    const [shown, changed] = [changeView(view), { ...row, outcome: answer.outcome }]
    return this.#answer(answer, () =>
      this.#format() === 'text' ? this.rows(shown, (emit) => emit([changed])) : this.one(shown, changed),
    )
  }

  /** The same for several things that were to be changed together: machines get a list, also of one. */
  changes<Row>(view: View<Row>, all: readonly Row[], answer: Answer): Promise<void> {
    const changed = all.map((row) => ({ ...row, outcome: answer.outcome }))
    return this.#answer(answer, () => this.rows(changeView(view), (emit) => emit(changed)))
  }

  /** Prints text as it is, such as a script. @throws OUTPUT_FAILED, but for a reader that has gone, of which `flush` tells */
  raw(text: string): Promise<void> {
    return this.#stdout.write(text)
  }

  /** Prints help as the terminal has room for it, for a caller that cannot wait; `flush` does. */
  later(text: string): void {
    this.#late += fitHelp(text, this.#width())
  }

  /** Waits for what was printed later. @throws OUTPUT_FAILED, also when the reader of stdout has gone before the end */
  async flush(): Promise<void> {
    if (this.#late !== '') await this.raw(this.#late)
    this.#stdout.finish()
  }

  /** Prints a JSON document, safe for a terminal; on one line in `jsonl`. @throws BAD_INPUT for a format or fields that it cannot have */
  async json(value: Json): Promise<void> {
    if (!this.#isOneOf(documentFormats))
      throw badInput('the output is a JSON document, which has no fields to choose', jsonHint)
    await this.raw(`${json(value, this.#format() === 'jsonl' ? undefined : 2)}\n`)
  }

  /** Prints text, or a JSON document for machines that ask for one. @throws OUTPUT_FAILED */
  textOrJson(text: string, value: Json): Promise<void> {
    return this.#isOneOf(['table']) ? this.raw(text) : this.json(value)
  }

  /** Reports in lines to people, and to machines as they ask. */
  async report(lines: readonly Cell[], toMachines: () => Promise<void>): Promise<void> {
    if (!this.table()) return toMachines()
    const { wrapped } = await import('./table/measures.ts')
    const wrappedLines = lines.flatMap(([text, tone]) => wrapped(text, this.#width()).map((line): Cell => [line, tone]))
    await this.lines(wrappedLines, 'stdout')
  }

  /** Prints lines to people: as the answer on stdout, or beside a question on stderr. */
  async lines(lines: readonly Cell[], to: 'stdout' | 'stderr'): Promise<void> {
    const paint = await this.#paint(to)
    const text = lines.map(([line, tone]) => paint(printable(line), tone)).join('\n')
    if (to === 'stdout') await this.raw(`${text}\n`)
    else this.#say(text)
  }

  /** Tells people something, on stderr. */
  note(text: string): void {
    this.#tell({ level: 'info', message: text }, printable(text))
  }

  /** Tells people that a list they see has no rows; `add`: what to type, where there are none at all. */
  noteIfEmpty(rows: number, add?: string): void {
    if (rows === 0 && this.table()) this.note(add === undefined ? 'nothing to show' : `nothing is there yet: ${add}`)
  }

  /** Warns people, on stderr. */
  warn(text: string): void {
    this.#tell({ level: 'warning', message: text }, `warning: ${printable(text)}`)
  }

  /** Reports an error on stderr, in the format asked for. */
  error({ code, message, hint, committed, details }: IntegrationsError, exit: number, retryable: boolean): void {
    this.#tell(
      { level: 'error', error: { code, message, hint, exit, retryable, committed, ...details } },
      `error: ${printable(message)}${hint === '' ? '' : `\nhint: ${printable(hint)}`}`,
    )
  }

  async #answer({ sentence, next = [] }: Answer, print: () => Promise<void>): Promise<void> {
    if (this.table()) await this.raw(`${printable(sentence)}\n`)
    else {
      this.note(sentence)
      await print()
    }
    if (next.length > 0) this.#tell({ level: 'info', next: [...next] }, `next: ${next.map(printable).join('\n      ')}`)
  }

  /** Says something on stderr: to machines that asked for JSON, an object on a line. */
  #tell(line: Json, text: string): void {
    this.#say(isJson(this.#options()) ? json(line) : text)
  }

  async #jsonRows<Row>(columns: readonly Column<Row>[], source: Unmeasured<Row>): Promise<void> {
    let any = false
    await source(async (batch) => {
      if (batch.length === 0) return
      const text = batch.map((row) => json(object(columns, row), 2).replace(/^/gm, '  ')).join(',\n')
      await this.raw(`${any ? ',\n' : '[\n'}${text}`)
      any = true
    })
    await this.raw(any ? '\n]\n' : '[]\n')
  }

  async #csvRows<Row>(columns: readonly Column<Row>[], source: Unmeasured<Row>): Promise<void> {
    const { csvHead, csvLines } = await import('./csv.ts')
    await this.raw(csvHead(columns))
    await source((batch) => this.raw(csvLines(columns, batch)))
  }

  async #tableRows<Row>(
    view: View<Row>,
    columns: readonly Column<Row>[],
    { source, paged }: { readonly source: RowSource<Row>; readonly paged: boolean },
  ): Promise<void> {
    const options = await this.#tableOptions(view)
    const page = async (lines: number) => painter(this.#host.env, await this.#stdout.page(lines, this.#options()))
    const begin = paged ? page : undefined
    const hidden = await printTable(columns, source, { ...options, begin }).finally(() => this.#stdout.endPaging())
    if (hidden.length > 0) this.note(`no room in ${options.drawing.width} columns for ${hidden.join(', ')}`)
  }

  async #tableOptions<Row>({ essential = [] }: View<Row>): Promise<TableOptions> {
    return {
      drawing: { paint: await this.#paint('stdout'), width: this.#width() },
      clock: clockOf(this.#options()),
      essential,
      chosen: this.#options().fields !== undefined,
      print: (text) => this.raw(text),
    }
  }

  /** The columns of the terminal that stdout is; undefined: stdout is none. */
  #width(): number | undefined {
    return this.#host.stdout.isTTY ? this.#host.stdout.columns || 80 : undefined
  }

  #columns<Row>(view: View<Row>, all: boolean): readonly Column<Row>[] {
    return columnsOf(view, this.#options().fields, all)
  }

  /** Whether no fields are chosen, and no format but one of these; without `-o`, the format counts as a table. */
  #isOneOf(some: readonly Format[]): boolean {
    const { output = 'table', fields } = this.#options()
    return some.some((format) => format === output) && fields === undefined
  }

  #format(): Format | 'text' {
    return formatOf(this.#options()) ?? (this.#host.stdout.isTTY ? 'table' : 'text')
  }

  #paint(to: 'stdout' | 'stderr') {
    return painter(this.#host.env, this.#host[to].isTTY)
  }

  #say(text: string): void {
    this.#stdout.unpaged(() => this.#host.stderr.write(`${text}\n`))
  }
}

const json = (value: Json, indent?: number) => printableJson(JSON.stringify(value, null, indent))
