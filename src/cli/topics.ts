import { errorCodes, exitCodes } from '../errors.ts'
import { formats } from './host.ts'

function exitCodesText(): string {
  const exits = Object.entries(exitCodes).map(([exit, meaning]) => `  ${exit.padStart(3)}  ${meaning}`)
  const widest = Math.max(...Object.keys(errorCodes).map((code) => code.length))
  const codes = Object.entries(errorCodes).map(
    ([code, { exit, retryable, meaning }]) =>
      `  ${code.padEnd(widest)}  ${String(exit).padStart(3)}  ${retryable ? 'yes  ' : 'no   '}  ${meaning}`,
  )
  return `Exit codes:
${exits.join('\n')}
  128 plus the number of the signal that ended the program

Every error has a stable code. With -o json or jsonl an error is printed on standard error as
{"level":"error","error":{"code","message","hint","exit","retryable","committed"}}.
"retryable" says whether the same command may succeed later. "committed" is false when nothing
was changed, and null when that is unknown.

Error codes:
  ${'code'.padEnd(widest)} exit  retry  meaning
${codes.join('\n')}
`
}

const environment = `A flag takes precedence over a variable, and a variable over the default.

Database:
  DATABASE_URL         the database, unless --database names another. The URL may hold a password; --database may not
  PGPASSFILE           PostgreSQL's password file (default: ~/.pgpass)
  PGHOST, PGPORT, PGDATABASE, PGUSER, USER, PGPASSWORD, PGSERVICE, PGSERVICEFILE, PGSYSCONFDIR,
  PGTARGETSESSIONATTRS
                       what the URL leaves out, as PostgreSQL's own programs take it
  XDG_DATA_HOME        the folder of the embedded database, integrations/integrations.db
  HOME, LOCALAPPDATA   without XDG_DATA_HOME: the database is in ~/.local/share, or in the folder LOCALAPPDATA
  INTEGRATIONS_READ_ONLY  any value but 0 or false refuses every change, as --read-only does;
                       no flag overrides it

Platforms:
  INTEGRATIONS_API_URL   send the API requests of a platform to this URL, as in slack=http://127.0.0.1:1234/;
                       commas separate several. --api-url takes precedence. http is allowed only for this machine
  NODE_TLS_REJECT_UNAUTHORIZED  0: no platform is asked, because any server could pose as one

Keys that encrypt the secrets, a JWK Set (needed only for changes and for reading a secret):
  INTEGRATIONS_KEYS_FILE     the file that holds the keys; other users must not be able to read it
  INTEGRATIONS_KEYS_COMMAND  a command that prints the keys, such as the CLI of a secret manager; it runs in a shell
                       for at most 30 s, with this environment except what leads to the database and the
                       variables that hold a secret
  XDG_CONFIG_HOME      the folder of the default key files, integrations/keys/<database id>.json
  HOME, APPDATA        without XDG_CONFIG_HOME: the key files are in ~/.config, or in the folder APPDATA

Refreshing tokens:
  XDG_STATE_HOME       the folder of integrations/spool, where new tokens are kept, encrypted, until the database
                       has them
  HOME, LOCALAPPDATA   without XDG_STATE_HOME: the spool is in ~/.local/state, or in the folder LOCALAPPDATA

What this machine has seen of audit logs, to tell a database that was rolled back:
  XDG_STATE_HOME       the folder of integrations/heads; without it as for refreshing tokens. It holds no secret

Compiled code of this program, for a faster start:
  XDG_CACHE_HOME, HOME the folder of integrations/ (default: ~/.cache); it holds no data of yours
  NODE_DISABLE_COMPILE_CACHE  any value: nothing is cached

Terminal:
  CI                   any value: never prompt, as with --no-input
  NO_COLOR             any value: no colours
  FORCE_COLOR          any value but 0: colours, also in a pipe; 0: no colours
  TERM                 dumb: no colours
  VISUAL, EDITOR       the editor of "config edit"
  PAGER                what shows tables that are longer than the terminal (default: less); cat or nothing: no pager,
                       as with --no-pager, --no-input, CI and TERM=dumb. Only less gets colours, where
                       its options show them (-R), or any pager with FORCE_COLOR=1
  LESS                 options of less (default: FRX)
  TZ                   the time zone of --local

In a GitHub job:
  GITHUB_STEP_SUMMARY  the file that "report" adds its markdown to

Who makes a change (recorded as the environment says, which is not proof):
  GITHUB_ACTIONS, GITHUB_ACTOR, GITHUB_RUN_ID
  GITLAB_CI, GITLAB_USER_LOGIN, CI_JOB_ID
  BUILDKITE, BUILDKITE_BUILD_CREATOR, BUILDKITE_JOB_ID
  CIRCLECI, CIRCLE_USERNAME, CIRCLE_BUILD_NUM
  Without any of these: the user and the host of the operating system.

Debugging:
  DEBUG                integrations: print where a bug comes from

This program sends no telemetry.
`

const output = `Standard output carries the answer and nothing else: notes, warnings, prompts and errors go to
standard error.

Formats (--output, -o): ${formats.join(', ')}
  table    for people; the default on a terminal. Times are relative, as in "3 days ago"; --utc and --local tell
           them by the clock. A row is a line: on a narrow terminal, times are shorter, long texts are cut, and the
           columns go that matter least, which standard error tells. Columns without anything in them are left out;
           ids are shown as long as they have to be to name a row, and every command takes them so
  json     list prints an array; show, and a change to one thing, print one object; a command that may change
           several things (rotate --shared) prints an array
  jsonl    one object per line, printed as rows are read
  csv      with a header line; a cell that a spreadsheet would run as a formula begins with '
  id       only ids, one per line
  report has more of them, which its help lists.
  Without --output, a pipe gets the columns of the table as text: no header, separated by tabs, never truncated.

  With json and jsonl, each line of standard error is a JSON object with a "level": "info" and "warning" with a
  "message", or "info" with what to type "next"; "error" with an "error" of "code", "message", "hint", "exit",
  "retryable", "committed", and, when the version of an integration is another, its "version".

Changes: the "outcome" is "changed", "unchanged" when there was nothing to change (exit code 0), or "would change" after --dry-run.
  What platforms answered to --revoke and secrets revoke is in "revocations", with an "outcome" for each token.

Fields (--fields a,b): chooses and orders the fields, in every format but id. The help of a command lists its fields.

Values:
  Times are RFC 3339 in UTC, with milliseconds: 2026-11-22T17:02:18.000Z.
  Only "secrets reveal" prints a secret; other commands print {"set","fingerprint","setAt","previousValidUntil"}.
  "set" is null where the application writes the column too and the database role may not see whether a secret is there.
  Characters that a terminal would act on are printed as escapes, as in \\u{1b}.

Rows:
  list sorts by workspace and name, or by --sort FIELD, in reverse by --sort=-FIELD; nulls always come last, and ids
  break ties. Sorted by workspace, those of each are in the order of their names. A table shows 100 rows and
  the number of further rows; other formats are complete. --limit and --cursor ID read page by page.
`

/** What `integrations help <topic>` prints. */
export const topics = { 'exit-codes': exitCodesText(), environment, output } as const

/** A topic of `integrations help` besides commands. */
export type Topic = keyof typeof topics
