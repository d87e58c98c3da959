/**
 * Every code an error can carry, with the exit code it ends the program with, whether trying the same again may help,
 * and what it means. The codes are a public contract: scripts branch on them.
 */
export const errorCodes = {
  BUG: { exit: 1, retryable: false, meaning: 'something unexpected went wrong in this program' },
  BAD_INPUT: { exit: 2, retryable: false, meaning: 'a flag, an argument, a file or a value is wrong' },
  INPUT_REQUIRED: { exit: 2, retryable: false, meaning: 'something is missing, and nobody can be asked' },
  AMBIGUOUS: { exit: 2, retryable: false, meaning: 'a reference names more than one thing' },
  NOT_FOUND: { exit: 3, retryable: false, meaning: 'there is no such thing' },
  NOT_PERMITTED: { exit: 4, retryable: false, meaning: 'the database or its owner does not allow it' },
  KEYS_MISSING: {
    exit: 4,
    retryable: false,
    meaning: 'a key that this database needs is not in the key set, or there is none',
  },
  KEYS_INVALID: {
    exit: 4,
    retryable: false,
    meaning: 'the key set cannot be used: unreadable, readable by others, or malformed',
  },
  KEY_WRONG: { exit: 4, retryable: false, meaning: 'a key of the set is not the one that this database knows' },
  KEY_NOT_FOUND: { exit: 4, retryable: false, meaning: 'a value is sealed with a key that is not in the key set' },
  CREDENTIAL_REFUSED: { exit: 4, retryable: false, meaning: 'the platform refuses the credential' },
  ALREADY_EXISTS: { exit: 5, retryable: false, meaning: 'there is one of that name already' },
  GRACE_PERIOD_ACTIVE: {
    exit: 5,
    retryable: false,
    meaning: 'the secret before the last is still valid, or may still be in use',
  },
  CONFLICT: { exit: 5, retryable: false, meaning: 'it was changed by somebody else meanwhile' },
  LEASE_HELD: { exit: 5, retryable: true, meaning: 'another process is refreshing the token' },
  DATABASE_UNREACHABLE: { exit: 6, retryable: true, meaning: 'the database cannot be reached or opened' },
  DATABASE_BUSY: { exit: 6, retryable: true, meaning: 'others held the database until the time was up' },
  DATABASE_MISSING: { exit: 6, retryable: false, meaning: 'the database is not there' },
  DATABASE_OUTDATED: { exit: 6, retryable: false, meaning: 'the database needs migrations' },
  DATABASE_TOO_NEW: { exit: 6, retryable: false, meaning: 'the database needs a newer version of this program' },
  DATABASE_INVALID: { exit: 6, retryable: false, meaning: 'the database is damaged, or not one of this program' },
  DATABASE_READ_ONLY: { exit: 6, retryable: false, meaning: 'the database can only be read' },
  DATABASE_FAILED: { exit: 6, retryable: true, meaning: 'the database could not do it' },
  DECRYPTION_FAILED: { exit: 6, retryable: false, meaning: 'a stored value does not open where it stands' },
  COMMIT_UNKNOWN: {
    exit: 6,
    retryable: false,
    meaning: 'the connection was lost at the end; look whether the change was made',
  },
  OUTPUT_FAILED: { exit: 6, retryable: true, meaning: 'the output could not be written' },
  PLATFORM_FAILED: {
    exit: 7,
    retryable: true,
    meaning: 'the platform or the network failed, and nothing was changed there',
  },
  CHECK_FAILED: { exit: 8, retryable: false, meaning: 'a check found problems' },
  OUTCOME_UNKNOWN: {
    exit: 9,
    retryable: false,
    meaning:
      'the platform may have changed something that the database does not show: never try again, do what the hint says',
  },
  COMMAND_NOT_STARTED: { exit: 126, retryable: false, meaning: 'the command of exec could not be started' },
  COMMAND_NOT_FOUND: { exit: 127, retryable: false, meaning: 'the command of exec does not exist' },
  CANCELLED: { exit: 130, retryable: false, meaning: 'a person cancelled it' },
} as const

/** What each exit code means. */
export const exitCodes = {
  0: 'done, or so already',
  1: 'a bug in this program',
  2: 'usage or bad input',
  3: 'not found',
  4: 'not permitted, a key is wrong or missing, or a platform refuses a credential',
  5: 'conflict: it exists, was changed by somebody else, or a grace window is open',
  6: 'the database or the output failed',
  7: 'the platform or the network failed; nothing was changed there',
  8: 'a check found problems',
  9: 'uncertain: the platform may have changed what the database does not show; never try again, do what the hint says',
  125: 'exec did not come to its command; the error says why',
  126: 'exec could not start its command',
  127: 'exec found no such command',
  130: 'cancelled, with Ctrl-C or at a question',
} as const satisfies Record<0 | 125 | (typeof errorCodes)[keyof typeof errorCodes]['exit'], string>

/** A stable name for what went wrong. */
export type ErrorCode = keyof typeof errorCodes

/** Exit codes, the worst first: a batch ends with the worst of its items'. */
const worstFirst = [9, 1, 6, 7, 4, 5, 3, 2, 8]

/** The worst of what went wrong with the items of a batch; undefined for none. */
export const worstOf = (codes: readonly ErrorCode[]): ErrorCode | undefined =>
  codes.toSorted((a, b) => worstFirst.indexOf(errorCodes[a].exit) - worstFirst.indexOf(errorCodes[b].exit))[0]

/** What an error says: see `IntegrationsError`. */
export interface ErrorFacts {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  readonly cause?: unknown
  readonly committed?: boolean | null
}

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

  /** @param committed whether the change is in the database: null when a connection was lost at COMMIT */
  constructor({ code, message, hint, cause, committed = false }: ErrorFacts) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.hint = hint
    this.committed = committed
  }
}

/** Whether a stored value could not be decrypted. */
export const isDecryptionFailure = (error: unknown): error is IntegrationsError =>
  error instanceof IntegrationsError && (error.code === 'DECRYPTION_FAILED' || error.code === 'KEY_NOT_FOUND')

/** A word of a command to type, quoted where a shell would act on it: names and ids can hold anything. */
export const shellWord = (word: string): string =>
  /^[\w:/.,+@%=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** Somebody ended a question, or said no: exit 130. */
export const cancelled = (what = 'cancelled'): IntegrationsError =>
  new IntegrationsError({
    code: 'CANCELLED',
    message: `${what}; nothing was changed`,
    hint: 'run it again to start over',
  })

/** Bad input: exit 2. */
export const badInput = (message: string, hint: string): IntegrationsError =>
  new IntegrationsError({ code: 'BAD_INPUT', message, hint })
