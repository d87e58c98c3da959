import { Command, type CommandUnknownOpts, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import packageJson from '../../package.json' with { type: 'json' }
import { badInput } from '../errors.ts'
import { unprintable } from '../operations/names.ts'
import type { Context } from './context.ts'
import { type Format, formats, isJson, type ReportFormat, reportFormats } from './host.ts'
import { ownFormatsOf } from './input/arguments.ts'
import { duration } from './input/time.ts'
import { fitHelp } from './output/help-text.ts'
import { reportUsage } from './usage.ts'

/** What the root help says of a command, and where its file is: that is read only when the command line mentions it. */
type Entry = readonly [
  name: string,
  summary: string,
  load: () => Promise<{ command: (ctx: Context) => CommandUnknownOpts }>,
]

/** Every command, in the order of the help, under its heading. */
const commands: readonly (readonly [heading: string, ...entries: Entry[]])[] = [
  [
    'Integrations',
    ['add', 'add an integration', () => import('./commands/add.ts')],
    ['list', 'list integrations', () => import('./commands/list.ts')],
    ['show', 'show one integration', () => import('./commands/show.ts')],
    ['update', 'change name, platform ids, creator, app, owner, tags or note', () => import('./commands/update.ts')],
    ['rotate', 'replace a secret', () => import('./commands/rotate.ts')],
    ['refresh', 'refresh access tokens that expire soon', () => import('./commands/refresh.ts')],
    ['recover', 'resolve refreshes whose outcome is unknown', () => import('./commands/recover.ts')],
    ['report', 'tell what is wrong, what expires and what is not known', () => import('./commands/report.ts')],
    ['policy', 'say which ages, expiry and owner integrations are asked for', () => import('./commands/policy.ts')],
    ['check', 'ask the platforms whether access tokens work', () => import('./commands/check.ts')],
    ['enable', 'make an integration active', () => import('./commands/enable.ts')],
    ['disable', 'make an integration inactive', () => import('./commands/disable.ts')],
    ['toggle', 'switch an integration between active and inactive', () => import('./commands/toggle.ts')],
    ['exec', 'run a command with the secrets in its environment', () => import('./commands/exec.ts')],
    ['remove', 'remove an integration', () => import('./commands/remove.ts')],
  ],
  [
    'Secrets',
    [
      'secrets',
      'list versions of secrets, finish or revert a rotation, revoke a token, reveal a value',
      () => import('./commands/secrets.ts'),
    ],
  ],
  ['Config', ['config', 'read, change and check configs', () => import('./commands/config.ts')]],
  [
    'Webhooks',
    [
      'webhook',
      'sign a webhook, see why a webhook is refused, test an endpoint',
      () => import('./commands/webhook.ts'),
    ],
  ],
  [
    'Directory',
    ['workspaces', 'list, add, rename and remove workspaces', () => import('./commands/workspaces.ts')],
    ['users', 'list, add and remove users', () => import('./commands/users.ts')],
    ['apps', 'list, add and remove the OAuth apps whose clients refresh tokens', () => import('./commands/apps.ts')],
  ],
  [
    'Security',
    ['audit', 'see and verify who changed what', () => import('./commands/audit.ts')],
    ['keys', 'generate, replace and check the keys that encrypt secrets', () => import('./commands/keys.ts')],
  ],
  [
    'Database and set-up',
    ['init', 'initialise a database', () => import('./commands/init.ts')],
    ['db', "show the state of the database, migrate it, adopt an application's", () => import('./commands/db.ts')],
    ['doctor', 'check this machine and the database', () => import('./commands/doctor.ts')],
    ['completion', 'print a script for Tab completion', () => import('./commands/completion.ts')],
    [
      'help',
      'print help for a command, or about exit-codes, environment or output',
      () => import('./commands/help.ts'),
    ],
  ],
]

/**
 * The whole command line.
 *
 * @param wanted tells by its name whether a command may run; one that may not is a name and a summary. By default those
 *   that the arguments mention: as words, since completion gets the line that is being typed as one argument.
 */
export async function program(ctx: Context, wanted = mentionedIn(ctx.host.argv.slice(2))): Promise<CommandUnknownOpts> {
  const root = new Command('integrations')
    .description('Manage the third-party credentials that an application keeps in its database.')
    .version(packageJson.version, '-V, --version', 'print the version')
    .addOption(
      new Option('-d, --database <url>', 'file: or postgresql: URL (default: DATABASE_URL, else an embedded database)'),
    )
    .addOption(
      new Option('-o, --output <format>', 'output format (default: table on a terminal, else tab-separated text)')
        .choices(formats)
        .argParser(format),
    )
    .addOption(new Option('--fields <fields>', 'the fields to show, separated by commas').argParser(fieldList))
    .addOption(new Option('--utc', 'tell times in tables by the clock, in UTC').conflicts('local'))
    .addOption(new Option('--local', 'the same in the time zone of this machine'))
    .addOption(new Option('--no-pager', 'print long tables without a pager'))
    .addOption(new Option('--no-input', 'never prompt'))
    .addOption(
      new Option('--wait <duration>', 'how long to retry when the database is busy or a platform limits requests')
        .argParser(waitMs)
        .default(30_000, '30s'),
    )
    .addOption(new Option('--read-only', 'refuse every change').default(false))
    .addOption(new Option('--as <name>', 'who makes the change, for the audit log').argParser(declared))
    .addOption(new Option('--reason <text>', 'why the change is made, for the audit log').argParser(declared))
    .hook('preAction', (_, command) => refuseFormatOfOthers(command, ctx.options.output))
    .helpOption('-h, --help', 'print help')
    .configureHelp({
      showGlobalOptions: true,
      // Those of a command above that does something itself are for that alone.
      visibleGlobalOptions: ({ parent }) => (parent ? [...programOf(parent).options] : []),
      subcommandTerm: (command) => command.name(),
    })
    .showSuggestionAfterError()
    .configureOutput({
      outputError: () => {},
      writeOut: (text) => ctx.output.later(text),
      writeErr: (text) => {
        if (!isJson(ctx.options))
          ctx.host.stderr.write(fitHelp(text, ctx.host.stderr.isTTY ? ctx.host.stderr.columns : undefined))
      },
    })
  // commander fills the object as it reads the arguments: an error in what stands before -o is printed as that says, too.
  root.setOptionValue('output', outputIn(ctx.host.argv))
  ctx.options = root.opts()
  for (const [heading, ...group] of commands) {
    root.commandsGroup(`${heading}:`)
    for (const [name, summary, load] of group) {
      const command = wanted(name) ? (await load()).command(ctx) : new Command(name)
      root.addCommand(command.summary(summary))
    }
  }
  if (wanted('complete')) root.addCommand((await import('./commands/complete.ts')).command(ctx), { hidden: true })
  reportUsage(root, ctx.host.argv)
  return root
}

/** Reads a format; which of them a command has, is known once it is. @throws InvalidArgumentError */
function format(text: string): Format | ReportFormat {
  const known = [...formats, ...reportFormats].find((one) => one === text)
  if (known) return known
  throw new InvalidArgumentError(`the formats are ${formats.join(', ')}; report also has ${reportFormats.join(', ')}`)
}

/** @throws BAD_INPUT for a format that the command does not have */
function refuseFormatOfOthers(command: CommandUnknownOpts, asked: Format | ReportFormat | undefined): void {
  const own = reportFormats.find((one) => one === asked)
  if (own && !ownFormatsOf.get(command)?.includes(own))
    throw badInput(`-o ${own} is a format of report alone`, `the formats are ${formats.join(', ')}`)
}

const programOf = (command: CommandUnknownOpts): CommandUnknownOpts =>
  command.parent ? programOf(command.parent) : command

/** The format that arguments ask for; undefined for none, or one that is refused later. */
function outputIn(argv: readonly string[]): Format | undefined {
  const own = argv.slice(0, argv.indexOf('--') >>> 0)
  const named =
    own.findLast((_, i) => own[i - 1] === '-o' || own[i - 1] === '--output') ??
    own.findLast((word) => word.startsWith('--output='))?.slice('--output='.length)
  return formats.find((format) => format === named)
}

function mentionedIn(argv: readonly string[]): (name: string) => boolean {
  const words = new Set(argv.flatMap((argument) => argument.split(/\s/)))
  return (name) => words.has(name)
}

/** How long to go on when the database is busy; timers take no more than 24 days. */
function waitMs(text: string): number {
  const milliseconds = duration(text)
  if (milliseconds > 86_400_000) throw new InvalidArgumentError('wait a day at most')
  return milliseconds
}

/** Text for the audit log, which keeps and prints it as it is. */
function declared(text: string): string {
  if (text.trim() === '' || unprintable.test(text) || text.length > 500)
    throw new InvalidArgumentError('write printable text, 500 characters at most')
  return text
}

function fieldList(text: string): string[] {
  const fields = text.split(',').map((field) => field.trim())
  if (fields.some((field) => field === ''))
    throw new InvalidArgumentError('write field names with commas between them, as in id,name')
  return fields
}
