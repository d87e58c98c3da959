import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { IntegrationsError, systemCode } from '../../errors.ts'
import { isBusy } from './busy.ts'
import { connectionRules, type Rule } from './connection-errors.ts'
import { facts, isConnectionLost, isReadOnly, refuserOf, saysStatementPooler } from './symptoms.ts'
import { type Database, displayUrl } from './url.ts'

/**
 * The error for a connection that was lost at COMMIT, or a server that committed and did not wait for its standby.
 *
 * @param what the subject and verb of what was committed, as in "the change was"
 * @param hint how to check whether it is in the database
 */
export function commitUnknown(what: string, hint: string, cause: unknown): IntegrationsError {
  const alone = facts(cause).codes.includes('NOT_REPLICATED')
  return new IntegrationsError({
    code: 'COMMIT_UNKNOWN',
    message: alone
      ? `${what} committed on the primary server, which stopped waiting for the standby server`
      : `the connection was lost while ${what} being committed`,
    hint: alone ? 'check that the standby server has the change before a failover; do not make the change again' : hint,
    cause,
    committed: null,
  })
}

/** The first that applies counts. */
const rules: readonly Rule[] = [
  {
    // SQLite's trigger arrives as a violated foreign key, PostgreSQL's as 23001; both say this.
    when: ({ said }) => /integration_events is append-only/.test(said),
    code: 'NOT_PERMITTED',
    message: 'the audit log takes new events only: none can be changed or deleted',
    hint: 'integrations audit list',
  },
  ...connectionRules,
  {
    when: ({ has }) => has(/^28P01$/),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} refused the user or the password (28P01)`,
    hint: 'put the right user and password into DATABASE_URL',
  },
  {
    when: ({ has }) => has(/^(28\w{3}|AuthenticationFailed|DatabaseAccessDenied|P1000|P1010)$/),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} refused the user`,
    hint: 'look into the log of the server, which says why',
  },
  {
    when: ({ has, embedded, message }) => has(/^42501$/) || (!embedded && /permission denied/.test(message)),
    code: 'NOT_PERMITTED',
    message: 'the database role may not do this',
    hint: 'connect as a role with the rights, or ask the owner of the database',
  },
  {
    when: ({ has }) => has(/^(3D000|DatabaseDoesNotExist|P1003)$/),
    code: 'DATABASE_MISSING',
    message: (where) => `${where} does not exist`,
    hint: 'create it, or correct DATABASE_URL or --database',
  },
  {
    when: ({ has, message }) => has(/^SQLITE_NOTADB$/) || /file is not a database/.test(message),
    code: 'DATABASE_INVALID',
    message: (where) => `${where} is not a usable SQLite database`,
    hint: 'name another file with --database, or restore this one from a backup',
  },
  {
    // SQLite takes a disk that cannot be read for a damaged file, too.
    when: ({ has, message }) => has(/^SQLITE_CORRUPT.*$/) || /malformed/.test(message),
    code: 'DATABASE_INVALID',
    message: (where) => `${where} is damaged, or its disk cannot be read`,
    hint: 'look for errors of the disk with dmesg, and restore the database from a backup',
  },
  {
    when: ({ has, embedded }) => embedded && has(/^EROFS$/),
    code: 'DATABASE_READ_ONLY',
    message: (where) => `${where} is on a file system that is mounted read-only`,
    hint: 'mount the file system for writing: SQLite writes beside the file for reading too',
  },
  {
    when: (symptoms) => symptoms.embedded && isReadOnly(symptoms),
    code: 'DATABASE_READ_ONLY',
    message: (where) => `${where} or its folder may not be written to`,
    hint: 'give yourself write permission on the file and on its folder, which SQLite needs for reading too',
  },
  {
    when: (symptoms) => isReadOnly(symptoms),
    code: 'DATABASE_READ_ONLY',
    message: (where) => `${where} can only be read`,
    hint: 'connect to the primary server, or as a role that may write',
  },
  {
    when: ({ error, has }) => isBusy(error) || has(/^57014$/),
    code: 'DATABASE_BUSY',
    message: 'the database was busy until the time was up',
    hint: 'try again, or wait longer with --wait 2m',
  },
  {
    when: ({ has }) => has(/^(ENOSPC|EDQUOT|53100|SQLITE_FULL)$/),
    code: 'DATABASE_FAILED',
    message: (where) => `${where} could not be written: the disk is full`,
    hint: 'make room on the disk and try again',
  },
  {
    // SQLite has one code for a disk that fails, a limit on the size of files and a quota.
    when: ({ has }) => has(/^(EIO|EFBIG|SQLITE_IOERR.*)$/),
    code: 'DATABASE_FAILED',
    message: (where) => `${where} could not be written: the disk failed, or a limit is reached`,
    hint: 'look for errors of the disk with dmesg, and for limits with ulimit -f and quota',
  },
  {
    // libsql gives no code when the file is a folder, or is not this user's to read.
    when: ({ has, embedded, message }) =>
      has(/^SQLITE_CANTOPEN.*$/) ||
      (embedded && (has(/^(EACCES|EPERM|ENOTDIR|EISDIR|EEXIST|ENOENT)$/) || /^ConnectionFailed/.test(message))),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} cannot be opened`,
    hint: 'check that it is a file, and that you may read and write it and its folder',
  },
  {
    when: ({ has }) => has(/^(TlsConnectionError|P1011|(ERR_TLS|ERR_SSL|CERT)_.*)$/),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `no trusted TLS connection to ${where}`,
    hint: 'name the authority with sslrootcert=FILE, or see "TLS" in docs/databases.md',
  },
  {
    when: ({ said }) => saysStatementPooler(said),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} is a connection pooler in statement mode, which allows no transaction`,
    hint: 'connect to the server itself, or to a pooler in transaction or session mode',
  },
  {
    when: ({ has }) => has(/^(25P03|57P05)$/),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} ended the connection, which was idle for too long; nothing was changed`,
    hint: 'try again',
  },
  {
    when: ({ has, message }) =>
      has(/^(ETIMEDOUT|SocketTimeout)$/) ||
      /timeout exceeded when trying|connection timeout|timeout expired/.test(message),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} did not answer in time`,
    hint: 'check the server and the network, or wait longer with --wait 2m',
  },
  {
    when: ({ error, has }) =>
      isConnectionLost(error) ||
      has(
        /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EACCES|ENOENT|DatabaseNotReachable|P1001|P1002|P2024)$/,
      ),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} cannot be reached`,
    hint: 'check that the server runs and that DATABASE_URL or --database names it',
  },
  {
    when: ({ has }) => has(/^54000$/),
    code: 'BAD_INPUT',
    message: (where) => `a name or an identifier is too long for an index of ${where} (54000)`,
    hint: 'shorten the value to 500 characters',
  },
  {
    // The tables were compared before: an application may have given a column a length.
    when: ({ has }) => has(/^(22001|LengthMismatch|P2000)$/),
    code: 'BAD_INPUT',
    message: (where) => `a value is longer than its column in ${where} allows (22001)`,
    hint: 'shorten the value, or widen the column in the application',
  },
  {
    when: ({ has }) => has(/^(22P05|22021)$/),
    code: 'BAD_INPUT',
    message: (where, state) => `a character of the input is none of the encoding of ${where} (${state})`,
    hint: 'use characters that the encoding of the database has, or move it to a database in UTF8',
  },
  {
    when: ({ has }) => has(/^22003$/),
    code: 'DATABASE_INVALID',
    message: (where) => `a number in the tables of ${where} would be larger than its column allows (22003)`,
    hint: 'integrations db status',
  },
  {
    when: ({ has, message }) =>
      has(
        /^(42703|42804|42846|42883|22007|22P02|23502|ColumnNotFound|NullConstraintViolation|P2011|P2022|SQLITE_MISMATCH|SQLITE_CONSTRAINT_(NOTNULL|DATATYPE))$/,
      ) || /no such column|has no column named|NOT NULL constraint failed|datatype mismatch/.test(message),
    code: 'DATABASE_INVALID',
    message: (where, state) =>
      `the tables of ${where} differ from what this program needs${state === undefined ? '' : ` (${state})`}`,
    hint: 'integrations db status',
  },
  {
    // Prisma's adapter takes SQLite's triggers for foreign keys.
    when: ({ has, embedded, said }) =>
      has(/^(P2003|23503|23001|RestrictViolation|ForeignKeyConstraintViolation)$/) &&
      (!embedded || /FOREIGN KEY/.test(said)),
    code: 'CONFLICT',
    message: 'another row of the application still refers to this one',
    namesRefuser: true,
    hint: 'remove that row in the application first',
  },
  {
    when: ({ has }) => has(/^(23514|23P01|44000|P0001|P2003|P2004|ForeignKeyConstraintViolation|SQLITE_CONSTRAINT.*)$/),
    code: 'CONFLICT',
    message: "a rule of the application's own tables forbids this change",
    namesRefuser: true,
    hint: 'see what the tables demand, or make the change in the application',
  },
  {
    when: ({ has }) => has(/^(P2002|UniqueConstraintViolation|23505)$/),
    code: 'ALREADY_EXISTS',
    message: 'the application has made something unique, and there is a row like this one already',
    namesRefuser: true,
    hint: 'look for it with integrations list',
  },
  {
    when: ({ has }) => has(/^P3009$/),
    code: 'DATABASE_INVALID',
    message: (where) => `a migration of ${where} failed halfway, so no other is applied`,
    hint: 'finish it, and mark it with prisma migrate resolve',
  },
  {
    when: ({ has, message }) => has(/^42P07$/) || /already exists/.test(message),
    code: 'DATABASE_INVALID',
    message: (where) => `${where} has a table already that a migration of this program makes`,
    hint: 'rename that table, or restore the database from a backup',
  },
  {
    when: ({ has, message }) => has(/^(TableDoesNotExist|42P01|P2021)$/) || /no such table/.test(message),
    code: 'DATABASE_INVALID',
    message: (where) => `${where} lacks a table that this program needs`,
    hint: 'integrations db status',
  },
]

/**
 * Turns what a driver or Prisma threw into an error of ours; what has no code of a database comes back as it was, as a
 * bug. No text of theirs is kept: Prisma's messages can hold the values of a statement.
 */
export function databaseError(error: unknown, database: Database): unknown {
  if (error instanceof IntegrationsError) return error
  const { codes: told, message: said, state, known } = facts(error)
  if (known) return known
  const embedded = database.provider === 'sqlite'
  const codes = database.provider === 'sqlite' ? [...told, ...fileSystemCodes(database.file)] : told
  const has = (pattern: RegExp) => codes.some((code) => pattern.test(code))
  const symptoms = { error, has, message: state === undefined ? said : '', said, embedded }
  const rule = rules.find(({ when }) => when(symptoms)) ?? unknownCode(embedded ? sqliteCode(codes) : state)
  if (!rule) return error
  const { code, message, hint, namesRefuser } = rule
  const text = typeof message === 'string' ? message : message(displayUrl(database), embedded ? undefined : state)
  const refuser = namesRefuser && refuserOf(said)
  return new IntegrationsError({ code, message: refuser ? `${text}: ${refuser}` : text, hint, cause: error })
}

/** What the file system of an SQLite file says of writing: SQLite has other codes for it, and not one of its own. */
function fileSystemCodes(file: string): string[] {
  try {
    accessSync(existsSync(file) ? file : dirname(file), constants.W_OK)
    return []
  } catch (error) {
    return systemCode(error) === 'EROFS' ? ['EROFS'] : []
  }
}

/** For a code that no rule knows: the database, or a trigger of the application, refused a statement. */
function unknownCode(code: string | undefined): Omit<Rule, 'when'> | undefined {
  return code === undefined
    ? undefined
    : {
        code: 'DATABASE_FAILED',
        message: (where) => `${where} failed with the code ${code}`,
        hint: "look the code up in the documentation of the database, and in the application's triggers",
      }
}

// Prisma's adapter names the kind where libsql's code has no name.
const sqliteCode = (codes: readonly string[]) =>
  codes.find((code) => /^SQLITE_[A-Z_]+$/.test(code)) ?? (codes.includes('sqlite') ? 'SQLITE_ERROR' : undefined)
