/** The formats of `--output`. Without it: `table` on a terminal, else tab-separated text. */
export const formats = ['table', 'json', 'jsonl', 'csv', 'id'] as const
/** A format of `--output`. */
export type Format = (typeof formats)[number]

/** The formats that `report` has besides. */
export const reportFormats = ['html', 'markdown', 'junit', 'openmetrics'] as const
/** A format of `report` alone. */
export type ReportFormat = (typeof reportFormats)[number]

/** Standard output or standard error that is no terminal, in the little of a stream of Node that this program asks of it. */
export interface PlainStream {
  readonly isTTY: false
  readonly columns?: undefined
  readonly rows?: undefined
  /** @param done is told when the text is written, or why it is not */
  write(text: string, done?: (error?: Error | null) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** What answers are written to, and what this program was started with. */
export interface Streams extends Pick<NodeJS.Process, 'env' | 'argv'> {
  readonly stdout: NodeJS.WriteStream | PlainStream
  readonly stderr: NodeJS.WriteStream | PlainStream
}

/** What the program is given to run on: a part of `process`. */
export interface Host extends Streams, Pick<NodeJS.Process, 'stdin' | 'cwd' | 'pid'> {}

/** The options that every command has. */
export interface GlobalOptions {
  readonly database?: string | undefined
  readonly output?: Format | ReportFormat | undefined
  readonly fields?: readonly string[] | undefined
  readonly utc?: true | undefined
  readonly local?: true | undefined
  readonly input: boolean
  readonly pager: boolean
  readonly wait: number
  readonly readOnly: boolean
  readonly as?: string | undefined
  readonly reason?: string | undefined
}

/** Whether JSON is asked for: then each line of stderr is an object, too. */
export const isJson = ({ output }: Pick<GlobalOptions, 'output'>): boolean => output === 'json' || output === 'jsonl'

/** The format that is asked for; undefined for none, and for one that a command writes itself. */
export const formatOf = ({ output }: Pick<GlobalOptions, 'output'>): Format | undefined =>
  formats.find((format) => format === output)
