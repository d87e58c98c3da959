import type { ErrorCode } from '../../errors.ts'
import type { Symptoms } from './symptoms.ts'

/** An error of ours, and what the driver's is recognised by. */
export interface Rule {
  readonly when: (symptoms: Symptoms) => boolean
  readonly code: ErrorCode
  /** @param state the SQLSTATE, where there is one */
  readonly message: string | ((where: string, state: string | undefined) => string)
  readonly hint: string
  /** The message ends with what refused the statement, where the database says. */
  readonly namesRefuser?: true
}

/** A refusal of a pooler, recognised by words of its program, which the message repeats. */
const pooler = (words: RegExp, { code, message, hint }: Omit<Rule, 'when'>, states = /^08P01$/): Rule => ({
  when: ({ has, said }) => has(states) && words.test(said),
  code,
  message,
  hint,
})

const tls = (codes: RegExp, words: RegExp) => (symptoms: Symptoms) =>
  symptoms.has(codes) || (!symptoms.embedded && words.test(symptoms.message))

const noEntry = (encrypted: RegExp) => (symptoms: Symptoms) =>
  symptoms.has(/^28000$/) && /no pg_hba\.conf entry/.test(symptoms.said) && encrypted.test(symptoms.said)

/**
 * What keeps a connection to a PostgreSQL server or a pooler from being made. The words of the server in a message are
 * those that the rule knows: no others are shown.
 */
export const connectionRules: readonly Rule[] = [
  {
    when: ({ message }) => /client password must be a/.test(message),
    code: 'NOT_PERMITTED',
    message: (where) => `no password for ${where}, which asks for one`,
    hint: 'put the password into DATABASE_URL, PGPASSWORD or ~/.pgpass (mode 0600)',
  },
  pooler(/SSL required|SSL connection is required|connection is insecure/i, {
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} takes encrypted connections only (08P01)`,
    hint: 'add sslmode=verify-full to the database URL',
  }),
  pooler(/password authentication failed|SASL authentication failed|wrong password type|no such user/, {
    code: 'NOT_PERMITTED',
    message: (where) => `the pooler at ${where} refused the user or the password (08P01)`,
    hint: "check the user and the password in DATABASE_URL, and the pooler's list of users",
  }),
  pooler(
    /tenant or user not found/i,
    {
      code: 'NOT_PERMITTED',
      message: (where) => `the pooler at ${where} does not know the user ("Tenant or user not found")`,
      hint: 'check the user in DATABASE_URL: a pooler may want the name of the project in it',
    },
    /^(XX000|08P01)$/,
  ),
  pooler(/no such database/, {
    code: 'DATABASE_MISSING',
    message: (where) => `the pooler at ${where} does not know the database (08P01: "no such database")`,
    hint: "correct the name of the database in DATABASE_URL, or add the database to the pooler's list",
  }),
  pooler(/unsupported startup parameter/, {
    code: 'BAD_INPUT',
    message: (where) => `the pooler at ${where} refused a parameter (08P01: "unsupported startup parameter")`,
    hint: 'leave options= out of the database URL and PGOPTIONS unset, or have the pooler ignore that parameter',
  }),
  pooler(/auth(entication)? (type|method)|unsupported auth/i, {
    code: 'NOT_PERMITTED',
    message: (where) => `the pooler at ${where} cannot authenticate the user in the way that is set up (08P01)`,
    hint: 'check auth_type of the pooler, and how its list of users keeps passwords',
  }),
  pooler(/no more connections allowed|too many (client )?connections|query_wait_timeout/, {
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `the pooler at ${where} has no free connection (08P01)`,
    hint: 'try again, or raise the limits of the pooler',
  }),
  pooler(/cannot connect to server|server login|server conn(ection)? crashed|bouncer config error/, {
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `the pooler at ${where} cannot connect to its server (08P01)`,
    hint: 'check that the server behind the pooler runs, and how the pooler logs in there',
  }),
  {
    // A pooler in statement mode says this of a transaction.
    when: ({ has, said }) => has(/^08P01$/) && !/transaction blocks not allowed/.test(said),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} refused the connection (08P01)`,
    hint: 'look into the log of the pooler or the server, which says why',
  },
  {
    when: noEntry(/no encryption|SSL off/),
    code: 'NOT_PERMITTED',
    message: (where) =>
      `${where} does not take this user without encryption (28000: "no pg_hba.conf entry … no encryption")`,
    hint: 'add sslmode=verify-full to the database URL, or ask for an entry in pg_hba.conf of the server',
  },
  {
    when: noEntry(/^/),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} does not take this user from this address (28000: "no pg_hba.conf entry")`,
    hint: 'ask for an entry in pg_hba.conf of the server, or correct the user or the database in DATABASE_URL',
  },
  {
    when: ({ has, said }) => has(/^28000$/) && /pg_hba\.conf rejects/.test(said),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} rejects this user (28000: "pg_hba.conf rejects connection")`,
    hint: 'ask for another entry in pg_hba.conf of the server, or connect with sslmode=verify-full',
  },
  {
    when: ({ has, said }) => has(/^28000$/) && /client certificate/.test(said),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} wants a valid client certificate (28000)`,
    hint: 'name a client certificate with sslcert=FILE and sslkey=FILE in the database URL',
  },
  {
    when: ({ has, said }) => has(/^28000$/) && /role .* does not exist/.test(said),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} does not know the user (28000: "role does not exist")`,
    hint: 'correct the user in DATABASE_URL, or create the role',
  },
  {
    when: ({ has, said }) => has(/^28000$/) && /not permitted to log in/.test(said),
    code: 'NOT_PERMITTED',
    message: (where) => `the role of ${where} may not log in (28000: "is not permitted to log in")`,
    hint: 'connect as another role, or alter the role to LOGIN',
  },
  {
    when: ({ has, said }) => has(/^28000$/) && /(peer|ident) authentication failed/i.test(said),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} takes a user of the same name as that of the system only (28000)`,
    hint: 'run the command as that user of the system, or connect by TCP with a password',
  },
  {
    when: ({ has, said }) => has(/^28000$/) && /certificate authentication failed/.test(said),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} does not take the client certificate for this user (28000)`,
    hint: 'name the certificate of this user with sslcert=FILE and sslkey=FILE, or correct the user in DATABASE_URL',
  },
  {
    // Of a statement, these would be a matter of its own.
    when: ({ has }) => has(/^FATAL$/) && has(/^(42601|42704|22023|55P02)$/),
    code: 'BAD_INPUT',
    message: (where, state) => `${where} refused a setting that the connection begins with (${state})`,
    hint: 'correct options= in the database URL, or PGOPTIONS',
  },
  {
    when: ({ has }) => has(/^(53300|TooManyConnections|P2037)$/),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} has no free connection (53300)`,
    hint: 'try again, close other connections, or put a pooler before the server',
  },
  {
    when: ({ has, said }) => has(/^57P03$/) && /shutting down/.test(said),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} is shutting down (57P03)`,
    hint: 'try again when the server is up again',
  },
  {
    when: ({ has }) => has(/^57P03$/),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} is starting up (57P03)`,
    hint: 'try again in a moment',
  },
  {
    when: ({ message }) => /does not support SSL/.test(message),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} does not speak TLS, which sslmode demands`,
    hint: 'turn on TLS at the server; or leave sslmode out, where the network is trusted',
  },
  {
    when: tls(/^(ERR_TLS_CERT_ALTNAME_\w+|HOSTNAME_MISMATCH)$/, /does not match certificate's altnames/),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `the certificate of ${where} is for another host`,
    hint: 'put a name that the certificate has into the database URL, or have the certificate name this host',
  },
  {
    when: tls(
      /^ERR_SSL_\w*(PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|VERSION_TOO_\w+)$/,
      /alert protocol version|unsupported protocol|no protocols available/,
    ),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `${where} speaks no version of TLS that this program may speak`,
    hint: 'correct ssl_min_protocol_version and ssl_max_protocol_version in the database URL, or let the server speak another version',
  },
  {
    when: tls(/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, /certificate (has expired|is not yet valid)/),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `the certificate of ${where} is not valid at this time`,
    hint: 'renew the certificate of the server, or correct the clock of this machine',
  },
  {
    when: tls(
      /^ERR_SSL_\w*ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+|UNSUPPORTED_CERTIFICATE)$/,
      /alert (unknown ca|\w* ?certificate)/,
    ),
    code: 'NOT_PERMITTED',
    message: (where) => `${where} does not trust the client certificate`,
    hint: 'name a certificate with sslcert=FILE that an authority has signed which the server trusts',
  },
  {
    when: tls(/^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)_.*$/, /self-signed certificate|unable to (verify|get).*certificate/),
    code: 'DATABASE_UNREACHABLE',
    message: (where) => `the certificate of ${where} is from an authority that is not trusted`,
    hint: 'name the authority with sslrootcert=FILE in the database URL',
  },
]
