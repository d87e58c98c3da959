/** The formats of `--output`. Without it: `table` on a terminal, else tab-separated text. */
export const formats = ['table', 'json', 'jsonl', 'csv', 'id'] as const
/** A format of `--output`. */
export type Format = (typeof formats)[number]

/** Standard output or standard error that is no terminal, in the little of a stream of Node that this program asks of it. */
export interface PlainStream {
  readonly isTTY: false
  readonly columns?: undefined
  readonly rows?: undefined
  /** @param done is told when the text is written, or why it is not */
  write(text: string, done?: (error?: Error | null) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** What the program is given to run on: a part of `process`. */
export interface Host extends Pick<NodeJS.Process, 'env' | 'stdin' | 'argv' | 'cwd' | 'pid'> {
  readonly stdout: NodeJS.WriteStream | PlainStream
  readonly stderr: NodeJS.WriteStream | PlainStream
}

/** The options that every command has. */
export interface GlobalOptions {
  readonly database?: string | undefined
  readonly output?: Format | undefined
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
