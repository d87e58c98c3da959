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
  128 and the number of the signal, where one ended the program

Every error has a code that stays the same; with -o json or jsonl it is printed as
{"error":{"code","message","hint","exit","retryable","committed"}} on standard error.
"Retry" says whether the same command may succeed later. "committed" is false: nothing was
changed; null: that is not known.

Error codes:
  ${'code'.padEnd(widest)} exit  retry  meaning
${codes.join('\n')}
`
}

const environment = `A flag goes before a variable, and a variable before the default.

Database:
  DATABASE_URL         the database, unless --database names one. It may hold a password; a flag may not
  PGPASSFILE           PostgreSQL's password file (default: ~/.pgpass)
  XDG_DATA_HOME        where the embedded database is kept, in integrations/integrations.db
  HOME, LOCALAPPDATA   the same, where XDG_DATA_HOME is not set: ~/.local/share, or the folder itself
  INTEGRATIONS_READ_ONLY  set to anything but 0 or false: nothing is changed, as with --read-only;
                       no flag switches it off

Platforms:
  INTEGRATIONS_API_URL   where their APIs are asked instead, as in slack=http://127.0.0.1:1234/, with commas between;
                       --api-url goes before it. http is for this machine alone

Keys that seal the secrets, a JWK Set (only changes and what shows a secret need it):
  INTEGRATIONS_KEYS_FILE     the file that holds it, which others must not be able to read
  INTEGRATIONS_KEYS_COMMAND  instead, a command that prints it, such as a vault's; run by a shell, for 30 s at most;
                       it has this environment without DATABASE_URL and PGPASSWORD
  XDG_CONFIG_HOME      where the file is kept otherwise, as integrations/keys.json
  HOME, APPDATA        the same, where XDG_CONFIG_HOME is not set: ~/.config, or the folder itself

Refreshing tokens:
  INTEGRATIONS_API_URL  where a platform is asked instead, as in slack=http://127.0.0.1:1234/; several with
                       commas. https only, but for this machine itself
  XDG_STATE_HOME       where new tokens are kept, sealed, until they are in the database, in integrations/spool
  HOME, LOCALAPPDATA   the same, where XDG_STATE_HOME is not set: ~/.local/state, or the folder itself

What Node compiled of this program, for a faster start:
  XDG_CACHE_HOME, HOME where it is kept, in integrations/ (default: ~/.cache); nothing of yours is in there
  NODE_DISABLE_COMPILE_CACHE  set to anything: nothing is kept

Terminal:
  CI                   set to anything: nothing is ever asked, as with --no-input
  NO_COLOR             set to anything: no colours
  FORCE_COLOR          set to anything but 0: colours, into a pipe too; 0: none
  TERM                 dumb: no colours
  VISUAL, EDITOR       the editor of "config edit"

Who made a change (kept with it; it is what the environment says, not a proof):
  GITHUB_ACTIONS, GITHUB_ACTOR, GITHUB_RUN_ID
  GITLAB_CI, GITLAB_USER_LOGIN, CI_JOB_ID
  BUILDKITE, BUILDKITE_BUILD_CREATOR, BUILDKITE_JOB_ID
  CIRCLECI, CIRCLE_USERNAME, CIRCLE_BUILD_NUM
  Without one of these, the user and host of the operating system.

Finding a fault:
  DEBUG                integrations: print where a bug came from

There is no telemetry.
`

const output = `The answer goes to standard output, and nothing else does: notes, warnings, questions and errors
go to standard error.

Formats (--output, -o): ${formats.join(', ')}
  table    for people; the default on a terminal. Times are relative, as in "3 days ago"
  json     list prints an array; show, and a change to one thing, print one object; what may change several
           at once (rotate --shared) an array, with an "outcome" in each
  jsonl    one object a line, printed as rows are read
  csv      with a head line; a cell that a spreadsheet would run as a formula begins with '
  id       ids alone, one a line
  Without --output, a pipe gets the columns of the table as text: no head, a tab between them, nothing cut off.

Fields (--fields a,b): picks and orders the fields, in every format. The help of a command lists them.

Values:
  Times are RFC 3339 in UTC, with milliseconds: 2026-11-22T17:02:18.000Z.
  A secret is never printed. In its place stands {"set","fingerprint","setAt","previousValidUntil"};
  "set" is null where the application writes the column too and nothing has read it yet.
  What a terminal would act on is printed as an escape, as in \\u{1b}.

Rows:
  list sorts by --sort FIELD, or backwards by --sort=-FIELD; nulls come last both ways. A terminal shows
  100 rows and says how many more there are; any other output is complete. --limit and --cursor ID read
  page by page.
`

/** What `integrations help <topic>` prints. */
export const topics = { 'exit-codes': exitCodesText(), environment, output } as const

/** Something to read about besides commands. */
export type Topic = keyof typeof topics
