import type { JsonObject } from './json.ts'

const code = <const Exit extends number>(exit: Exit, meaning: string, retryable = false) => ({
  exit,
  meaning,
  retryable,
})

/**
 * Every code an error can carry, with the exit code it ends the program with, whether a retry may help, and what
 * it means. The codes are a public contract: scripts branch on them.
 */
export const errorCodes = {
  BUG: code(1, 'an unexpected error in this program'),
  BAD_INPUT: code(2, 'a flag, an argument, a file or a value is wrong'),
  INPUT_REQUIRED: code(2, 'a required value is missing, and prompts are off or there is no terminal'),
  AMBIGUOUS: code(2, 'a reference matches several items'),
  NOT_FOUND: code(3, 'the item does not exist'),
  NOT_PERMITTED: code(4, 'the database or its owner does not allow the operation'),
  KEYS_MISSING: code(4, 'a key that this database needs is not in the key set, or there is no key set'),
  KEYS_INVALID: code(4, 'the key set cannot be used: unreadable, readable by others, or malformed'),
  KEY_WRONG: code(4, 'a key in the key set differs from the key that this database knows'),
  KEY_NOT_FOUND: code(4, 'a value is encrypted with a key that is not in the key set'),
  CREDENTIAL_REFUSED: code(4, 'the platform refuses the credential'),
  ALREADY_EXISTS: code(5, 'the name is already in use'),
  GRACE_PERIOD_ACTIVE: code(5, 'a previous secret is valid, or may still be in use'),
  CONFLICT: code(5, 'the item was changed meanwhile, or its state forbids the operation'),
  LEASE_HELD: code(5, 'another process is refreshing the token', true),
  DATABASE_UNREACHABLE: code(6, 'the database cannot be reached or opened', true),
  DATABASE_BUSY: code(6, 'the database was in use until the timeout', true),
  DATABASE_MISSING: code(6, 'the database does not exist'),
  DATABASE_OUTDATED: code(6, 'the database needs migrations'),
  DATABASE_TOO_NEW: code(6, 'the database needs a newer version of this program'),
  DATABASE_INVALID: code(6, 'the database is damaged, or was not made by this program'),
  DATABASE_TAMPERED: code(6, 'another program changed how secrets are kept, or the end of the audit log'),
  DATABASE_READ_ONLY: code(6, 'the database is read-only'),
  DATABASE_FAILED: code(6, 'the database could not carry out the operation', true),
  DECRYPTION_FAILED: code(6, 'a stored value cannot be decrypted'),
  COMMIT_UNKNOWN: code(6, 'the connection was lost during COMMIT; check whether the change was made'),
  OUTPUT_FAILED: code(6, 'the output could not be written', true),
  PLATFORM_FAILED: code(7, 'the platform or the network failed, and nothing was changed there', true),
  CHECK_FAILED: code(8, 'a check found problems'),
  OUTCOME_UNKNOWN: code(
    9,
    'the platform may have made a change that the database does not show; never retry, follow the hint',
  ),
  COMMAND_NOT_STARTED: code(126, 'exec could not start the command'),
  COMMAND_NOT_FOUND: code(127, 'exec did not find the command'),
  CANCELLED: code(130, 'the user cancelled'),
} as const

/** What each exit code means. */
export const exitCodes = {
  0: 'success (including nothing to do)',
  1: 'a bug in this program',
  2: 'usage or bad input',
  3: 'not found',
  4: 'not permitted, a key is wrong or missing, or a platform refuses a credential',
  5: 'conflict: the item exists, was changed meanwhile, or a grace period is active',
  6: 'the database or the output failed',
  7: errorCodes.PLATFORM_FAILED.meaning,
  8: errorCodes.CHECK_FAILED.meaning,
  9: `outcome unknown: ${errorCodes.OUTCOME_UNKNOWN.meaning}`,
  125: 'exec failed before starting the command; the error says why',
  126: errorCodes.COMMAND_NOT_STARTED.meaning,
  127: errorCodes.COMMAND_NOT_FOUND.meaning,
  130: 'cancelled with Ctrl-C or at a prompt',
} as const satisfies Record<0 | 125 | (typeof errorCodes)[keyof typeof errorCodes]['exit'], string>

/** A stable name for what went wrong. */
export type ErrorCode = keyof typeof errorCodes

/** Exit codes, the worst first: a batch ends with the worst of its items'. */
const worstFirst = [9, 1, 6, 7, 4, 5, 3, 2, 8]

/** The worst of what went wrong with the items of a batch; undefined for none. */
export const worstOf = (codes: readonly ErrorCode[]): ErrorCode | undefined =>
  codes.toSorted((a, b) => worstFirst.indexOf(errorCodes[a].exit) - worstFirst.indexOf(errorCodes[b].exit))[0]

/** What an error says. */
export interface ErrorFacts {
  readonly code: ErrorCode
  /** One sentence in lower case without a full stop. */
  readonly message: string
  /** What to type or do next. */
  readonly hint: string
  readonly cause?: unknown
  /** Whether the change is in the database (default: false); null when the connection was lost during COMMIT. */
  readonly committed?: boolean | null
  /** What machines are told besides: the `version` that the item has, or the `candidates` for a reference. */
  readonly details?: JsonObject | undefined
}

/**
 * The only error type thrown on purpose. Neither message nor hint ever holds a secret, a connection string with a
 * password, or the text of another program's error.
 */
export class IntegrationsError extends Error {
  override readonly name = 'IntegrationsError'
  readonly code: ErrorCode
  readonly hint: string
  readonly committed: boolean | null
  readonly details: JsonObject | undefined

  constructor({ code, message, hint, cause, committed = false, details }: ErrorFacts) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.hint = hint
    this.committed = committed
    this.details = details
  }

  /** This error with some facts replaced, and with the stack of this one. */
  with(facts: Partial<Omit<ErrorFacts, 'message'>>): IntegrationsError {
    const { code, message, hint, cause, committed, details } = this
    const copy = new IntegrationsError({ code, message, hint, cause, committed, details, ...facts })
    return Object.assign(copy, { stack: this.stack })
  }
}

/** Whether an error is this program's, with one of these codes. */
export const is = <C extends ErrorCode>(
  error: unknown,
  ...codes: readonly [C, ...C[]]
): error is IntegrationsError & { readonly code: C } =>
  error instanceof IntegrationsError && codes.some((code) => code === error.code)

/** Whether a stored value could not be decrypted. */
export const isDecryptionFailure = (error: unknown): error is IntegrationsError =>
  is(error, 'DECRYPTION_FAILED', 'KEY_NOT_FOUND')

/** The code of a system error, as in `ENOENT`. */
export const systemCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'

/** A word of a command to type, quoted where a shell would act on it: names and ids can hold anything. */
export const shellWord = (word: string): string =>
  /^[\w:/.,+@%=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** A text that was typed, for a message: in quotes, and shortened. */
export const quoted = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)

/** A person ended a prompt, or answered no: exit 130. */
export const cancelled = (what = 'cancelled'): IntegrationsError =>
  new IntegrationsError({
    code: 'CANCELLED',
    message: `${what}; nothing was changed`,
    hint: 'run the command again to start over',
  })

const errorWith =
  (code: ErrorCode) =>
  (message: string, hint: string): IntegrationsError =>
    new IntegrationsError({ code, message, hint })

/** Bad input: exit 2. */
export const badInput = errorWith('BAD_INPUT')

/** The item does not exist: exit 3. */
export const notFound = errorWith('NOT_FOUND')

/** The key set lacks a key, or there is no key set: exit 4. */
export const keysMissing = errorWith('KEYS_MISSING')

/** The item was changed meanwhile, or its state forbids the operation: exit 5. */
export const conflict = errorWith('CONFLICT')

/** The database interrupted a listing of which some rows were shown: they cannot be shown again. */
export const interrupted = (rows: number): IntegrationsError =>
  new IntegrationsError({
    code: 'DATABASE_FAILED',
    message: `the database interrupted the listing; the ${rows} rows above are incomplete`,
    hint: 'run the command again',
  })

/** A database has answered with more bytes than are read at once. */
export class RowsTooLong extends IntegrationsError {
  constructor() {
    super({
      code: 'DATABASE_INVALID',
      message: 'the rows are too long to be read at once',
      hint: 'shorten values that are nearly 1 MiB long; a list can be read in parts with --limit 10',
    })
  }
}

/** The database is damaged, or was not made by this program: exit 6. */
export const databaseInvalid = errorWith('DATABASE_INVALID')

/** Another program changed how the database keeps secrets, or the end of the audit log: exit 6. */
export const tampered = (
  message: string,
  hint = 'integrations audit verify tells what was changed; put it back, or restore a backup',
): IntegrationsError => errorWith('DATABASE_TAMPERED')(message, hint)

/** The key set cannot be used: exit 4. */
export const keysInvalid = errorWith('KEYS_INVALID')

/** A stored value cannot be decrypted: exit 6. */
export const decryptionFailed = errorWith('DECRYPTION_FAILED')

/** A check found problems: exit 8. */
export const checkFailed = errorWith('CHECK_FAILED')
