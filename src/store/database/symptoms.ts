import { IntegrationsError, quoted } from '../../errors.ts'

/** What an error is recognised by. */
export interface Symptoms {
  readonly error: unknown
  /** Whether one of the codes is like this. */
  has(pattern: RegExp): boolean
  /** The text of the driver, empty where a SQLSTATE says more: that text may be an application's. */
  readonly message: string
  /** All that the server or the driver said. */
  readonly said: string
  /** It is about an SQLite file. */
  readonly embedded: boolean
}

/** What refused a statement, for people; undefined where the database does not say. No value of the row is in it. */
export function refuserOf(said: string): string | undefined {
  const [, told] = [...said.matchAll(/\nrefused by (the .*")/g)].at(-1) ?? []
  const [, kind, rule] = /(CHECK|UNIQUE) constraint failed: ([^`\n]*)/.exec(said) ?? []
  return told ?? (rule && `the constraint ${quoted(kind === 'CHECK' ? rule : `unique (${rule})`)}`)
}

/** What is known of an error. */
interface Facts {
  readonly codes: readonly string[]
  readonly message: string
  /** What PostgreSQL calls SQLSTATE. */
  readonly state: string | undefined
  /** An error of ours inside: a function that the driver called has thrown it. */
  readonly known: IntegrationsError | undefined
}

/** What a driver said, dug out of the several shapes in which Prisma hands it on. */
export function facts(error: unknown, depth = 0): Facts {
  if (typeof error !== 'object' || error === null || depth > 5)
    return { codes: [], message: '', state: undefined, known: undefined }
  const own = error as Record<string, unknown>
  const codes = [
    own.code,
    own.originalCode,
    own.extendedCode,
    own.kind,
    own.severity,
    own.name === 'PrismaClientInitializationError' ? own.errorCode : undefined,
  ].filter((code) => typeof code === 'string')
  const messages = [own.message, own.originalMessage, own.reason].filter((text) => typeof text === 'string')
  // libsql's own code arrives as a number where its adapter met the error; the name begins the message.
  codes.push(...messages.flatMap((text) => /^SQLITE_[A-Z_]+/.exec(text) ?? []))
  // Codes of Node and Prisma can have five letters too: EPIPE, P2010.
  let state = [own.severity === undefined ? undefined : own.code, own.originalCode].filter(isState)[0]
  let known = error instanceof IntegrationsError ? error : undefined
  for (const inner of [own.cause, own.meta, own.driverAdapterError]) {
    const deeper = facts(inner, depth + 1)
    codes.push(...deeper.codes)
    messages.push(deeper.message)
    state ??= deeper.state
    known ??= deeper.known
  }
  // An application's own SQLSTATE may look like a code of theirs.
  const foreign = state !== undefined && /^(E[A-Z]{4}|P[1-9].*)$/.test(state)
  return { codes: foreign ? codes.filter((code) => code !== state) : codes, message: messages.join('\n'), state, known }
}

const isState = (code: unknown): code is string => typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)

/** Whether the connection went away, so that it is unknown whether a COMMIT that was under way took place. */
export function isConnectionLost(error: unknown): boolean {
  const { codes, message, state } = facts(error)
  return (
    codes.some((code) => /^(ECONNRESET|EPIPE|ETIMEDOUT|ConnectionClosed|P1017|57P0[123]|08\w{3})$/.test(code)) ||
    (state === undefined &&
      /connection (terminated|closed|ended)|server closed the connection|client has encountered a connection error/i.test(
        message,
      ))
  )
}

/** Whether a statement found other tables than this program's: one, or a column, is missing, or of another kind. */
export function saysOtherTables(error: unknown): boolean {
  const { codes, message } = facts(error)
  return (
    codes.some((code) => /^(42P01|42703|428\w{2}|TableDoesNotExist|ColumnNotFound|P2021|P2022)$/.test(code)) ||
    /no such (table|column)/.test(message)
  )
}

/** Whether an error may come from an application's table that is not as it was: what it has, what it may hold, what it is. */
export function mayComeFromTables(error: unknown): boolean {
  const { codes, message } = facts(error)
  const others =
    /^(22001|22003|22007|22P02|23502|0A000|55000|LengthMismatch|NullConstraintViolation|P2000|P2011|SQLITE_MISMATCH|SQLITE_CONSTRAINT_(NOTNULL|DATATYPE))$/
  return (
    saysOtherTables(error) ||
    codes.some((code) => others.test(code)) ||
    /has no column named|NOT NULL constraint failed|datatype mismatch|cannot store|is a view|generated column/.test(
      message,
    )
  )
}

/** Whether it is unknown, after an error at COMMIT, whether the change is in the database. */
export function isCommitUnknown(error: unknown): boolean {
  const { codes } = facts(error)
  // The server ends a transaction that is idle, or a session, before it reads a COMMIT.
  if (codes.some((code) => /^(NOT_COMMITTED|25P03|57P05)$/.test(code))) return false
  return codes.includes('NOT_REPLICATED') || isConnectionLost(error)
}

/** Whether a pooler ended the connection because it lends it for single statements only. */
export const isStatementPooler = (error: unknown): boolean => saysStatementPooler(facts(error).message)

/** Whether a text is how a pooler says that. */
export const saysStatementPooler = (message: string): boolean => /transaction blocks not allowed/.test(message)

/** Whether a file, a server or a role takes no change. */
export const isReadOnly = ({ has, message }: Symptoms): boolean =>
  has(/^(SQLITE_READONLY.*|25006|EROFS)$/) || /readonly database|read-only transaction/.test(message)
