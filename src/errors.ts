/**
 * Every code an error can carry, with the exit code it ends the program with and whether trying the same again may help.
 * The codes are a public contract: scripts branch on them.
 */
export const errorCodes = {
  BUG: { exit: 1, retryable: false },
  BAD_INPUT: { exit: 2, retryable: false },
  INPUT_REQUIRED: { exit: 2, retryable: false },
  AMBIGUOUS: { exit: 2, retryable: false },
  NOT_FOUND: { exit: 3, retryable: false },
  NOT_PERMITTED: { exit: 4, retryable: false },
  ALREADY_EXISTS: { exit: 5, retryable: false },
  CONFLICT: { exit: 5, retryable: false },
  DATABASE_UNREACHABLE: { exit: 6, retryable: true },
  DATABASE_BUSY: { exit: 6, retryable: true },
  DATABASE_MISSING: { exit: 6, retryable: false },
  DATABASE_BEHIND: { exit: 6, retryable: false },
  DATABASE_AHEAD: { exit: 6, retryable: false },
  DATABASE_INVALID: { exit: 6, retryable: false },
  DATABASE_READ_ONLY: { exit: 6, retryable: false },
  DATABASE_FAILED: { exit: 6, retryable: true },
  COMMIT_UNKNOWN: { exit: 6, retryable: false },
  OUTPUT_FAILED: { exit: 6, retryable: true },
  CHECK_FAILED: { exit: 8, retryable: false },
  CANCELLED: { exit: 130, retryable: false },
} as const

/** A stable name for what went wrong. */
export type ErrorCode = keyof typeof errorCodes

/**
 * The one error type thrown on purpose.
 *
 * `message` is one sentence in lower case without a full stop; `hint` says what to type next. Neither ever holds a
 * secret, a connection string with a password, or the text of somebody else's error.
 */
export class IntegrationsError extends Error {
  override readonly name = 'IntegrationsError'
  readonly code: ErrorCode
  readonly hint: string
  /** Whether the change is in the database: null when a connection was lost at COMMIT. */
  readonly committed: boolean | null

  constructor(code: ErrorCode, message: string, hint: string, options: { cause?: unknown; committed?: boolean | null } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = hint
    this.committed = options.committed ?? (options.committed === null ? null : false)
  }
}

/** Bad input: exit 2. */
export const badInput = (message: string, hint: string): IntegrationsError => new IntegrationsError('BAD_INPUT', message, hint)
