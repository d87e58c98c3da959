/** The formats of `--output`. Without it: `table` on a terminal, else tab-separated text. */
export const formats = ['table', 'json', 'jsonl', 'csv', 'id'] as const
/** A format of `--output`. */
export type Format = (typeof formats)[number]

/** What the program is given to run on: a part of `process`. */
export type Host = Pick<NodeJS.Process, 'env' | 'stdin' | 'stdout' | 'stderr' | 'argv' | 'cwd' | 'pid'>

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
