import {
  Argument,
  type Command,
  type CommandUnknownOpts,
  InvalidArgumentError,
  Option,
  type OptionValues,
} from '@commander-js/extra-typings'
import { badInput, is } from '../../errors.ts'
import { entriesOf, flagOf, type PlatformColumn, type SecretField, secretFields } from '../../integration.ts'
import { type ApiUrls, parseApiUrl, refuseUnverifiedTls } from '../../platforms/api-urls.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platforms } from '../../platforms/platforms.ts'
import type { Page } from '../../store/tables/page.ts'
import type { Context } from '../context.ts'
import type { ReportFormat } from '../host.ts'
import type { Output } from '../output/output.ts'
import { changeView, type View } from '../output/values.ts'

const refForms =
  'id, workspace/name, unique name, either of these with @platform, or the first 6 or more characters of the id'

/** The reference to an integration, as every command about one takes it. */
export const refArgument = () => new Argument('<ref>', refForms)

/** The same, of a command that is about one integration or all. */
export const optionalRefArgument = () => new Argument('[ref]', refForms)

/** The reference to a workspace. */
export const workspaceArgument = () => new Argument('<workspace>', 'id or name of the workspace')

/** A change of a config, by the version of the integration after it. */
export const revisionArgument = () =>
  new Argument('[version]', 'the change, as config history shows it (default: the last)').argParser(wholeNumber(1))

/** The id of a key that the database knows. */
export const keyArgument = () => new Argument('<key-id>', 'the id of the key, as keys list shows it')

/** The user who created an integration. */
export const createdByOption = () =>
  new Option('--created-by <user>', 'id or e-mail address of the user who created it')

/** The OAuth app of an integration. */
export const appOption = () => new Option('--app <app>', 'the OAuth app that refreshes the access token')

/** The secrets as flags and arguments name them. */
export const secretFlags = secretFields.map(flagOf)

/** The secret that a flag names, as in `webhook-secret`. @throws InvalidArgumentError */
export function secretField(flag: string): SecretField {
  const field = secretFields.find((one) => flagOf(one) === flag)
  if (!field) throw new InvalidArgumentError(`the secrets are ${secretFlags.join(', ')}`)
  return field
}

/** Collects the values of an option that is given once for each: one that took several would take the reference after it. */
export const each =
  <Value>(read: (text: string) => Value) =>
  (text: string, before: readonly Value[] | undefined): readonly Value[] => [...(before ?? []), read(text)]

/** One of an integration's secrets, as commands about a secret take it. */
export const secretFieldArgument = () =>
  new Argument('<field>', 'the secret').choices(secretFlags).argParser(secretField)

/** Examples for a command's help, as the arguments of `addHelpText`. */
export const examples = (...lines: string[]): ['after', string] => [
  'after',
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`,
]

/** The fields that a command answers with, for completion. */
export const fieldsOf = new WeakMap<CommandUnknownOpts, readonly string[]>()

/** The formats that a command has besides those of every command. */
export const ownFormatsOf = new WeakMap<CommandUnknownOpts, readonly ReportFormat[]>()

/** Says which fields a command answers with, and refuses others before it does anything. */
export function declareOutput<C extends CommandUnknownOpts, Row>(command: C, output: Output, view: View<Row>): C {
  const fields = view.columns.map(({ field }) => field)
  fieldsOf.set(command, fields)
  // commander does both for the commands below, too.
  const own: CommandUnknownOpts = command
  const text = `\nFields:\n${wrapped(fields.join(', '))}`
  command.addHelpText('afterAll', (shown) => (shown.command === own ? text : ''))
  command.hook('preAction', (_, acting) => (acting === own ? output.check(view) : undefined))
  return command
}

/** The same of a command that changes something: it answers with the outcome, too. */
export const declareChange = <C extends CommandUnknownOpts, Row>(command: C, output: Output, view: View<Row>): C =>
  declareOutput(command, output, changeView(view))

/** Says that a command answers with text, such as a script, and refuses another form before it does anything. */
export const declareTextOutput = <C extends CommandUnknownOpts>(command: C, output: Output): C =>
  command.hook('preAction', () => output.textOnly())

/** Says that a command answers with text or a JSON document, and refuses another form before it does anything. */
export const declareTextOrJson = <C extends CommandUnknownOpts>(command: C, output: Output): C =>
  command.hook('preAction', () => output.textOrJsonOnly())

/** A whole number from `least` up. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`write a whole number from ${least} up`)
    return value
  }

/** Options of every command that changes one integration. */
export const ifVersionOption = () =>
  new Option('--if-version <number>', 'refuse (exit 5) unless the integration still has this version').argParser(
    wholeNumber(0),
  )

/** Whether to leave one that is there as it is: so a job can be run again. @param what with its article @param by what it is known by */
export const ifMissingOption = (what: string, by: string) =>
  new Option('--if-missing', `exit with 0, and change nothing, when there is ${what} with ${by}`).default(false)

/** Options of every command that changes something. */
export const dryRunOption = () => new Option('--dry-run', 'show what would change, and change nothing').default(false)

/** Which secret to sign a webhook with. */
export const signerOption = () =>
  new Option('--secret <which>', 'the current secret, or the newest previous secret that is still valid')
    .choices(['current', 'previous'] as const)
    .default('current' as const)

/** Accepts what does not look like what it should be. */
export const forceShapeOption = () =>
  new Option('--force-shape', 'accept a value that does not look like one of the platform').default(false)

/** Asks the platform about a new access token. */
export const checkOption = () =>
  new Option(
    '--check',
    'ask the platform first; an access token that is refused or belongs to another team is not stored',
  ).default(false)

/** Where platforms are to be asked, on commands that ask them. */
export const apiUrlOption = () =>
  new Option(
    '--api-url <platform=url>',
    'send the API requests of a platform to this URL, as in slack=http://127.0.0.1:1234/; recorded in the audit log',
  ).argParser((text, before: string[] | undefined): string[] => [...(before ?? []), text])

/** Lets `--api-url` and INTEGRATIONS_API_URL lead into a private network. */
export const allowPrivateOption = () =>
  new Option('--allow-private', 'allow an API URL in a private network').default(false)

/**
 * Where platforms are to be asked: INTEGRATIONS_API_URL, and before it the option. Each address has to be one that a
 * webhook may be sent to, too: the requests hold tokens.
 *
 * @param options `check`: of a command that asks them only then; `asks`: whether it asks them this time; `flags`: those that have it ask
 * @throws BAD_INPUT
 */
export async function apiUrls(
  { host }: Context,
  {
    apiUrl = [],
    allowPrivate,
    check = true,
    asks = check,
    flags = '--check',
  }: { apiUrl?: readonly string[] | undefined; allowPrivate: boolean; check?: boolean; asks?: boolean; flags?: string },
): Promise<ApiUrls> {
  const given = apiUrl.length > 0 ? '--api-url' : allowPrivate ? '--allow-private' : undefined
  if (given && !check)
    throw badInput(`${given} has no effect without ${flags}`, `pass ${flags} too, or leave ${given} out`)
  const set = host.env.INTEGRATIONS_API_URL ?? ''
  const urls = new Map([...(set === '' ? [] : set.split(',')), ...apiUrl].map(parseApiUrl))
  if (!check) return urls
  if (asks) refuseUnverifiedTls(host.env)
  if (urls.size === 0) return urls
  const { findDestination } = await import('../../operations/webhooks/web-address.ts')
  for (const url of urls.values())
    await findDestination(url, allowPrivate).catch((error: unknown) => {
      // The platform may be asked in vain: of a name without an address, the command tells as of any other failure.
      if (!is(error, 'PLATFORM_FAILED')) throw error
    })
  return urls
}

/** How help describes a filter by text. @param where what has to contain it, as in "the name" */
export const withText = (where: string): string => `with this literal text in ${where} (ASCII case ignored)`

/** A page as its options say it: the order is a field, and whether backwards. */
interface PageOptions {
  readonly sort: { readonly sort: string; readonly descending: boolean }
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
  readonly all: boolean
}

/** Adds the options of a list, with the fields it can be sorted by; `order` is the default, by default the first of them. */
export const withPageOptions = <A extends unknown[], O extends OptionValues>(
  command: Command<A, O>,
  sorts: readonly [string, ...string[]],
  { order = sorts[0], cursorOf = (text: string) => text } = {},
) => {
  const sortOf = (text: string) => ({ sort: text.replace(/^-/, ''), descending: text.startsWith('-') })
  return command
    .addOption(
      new Option('--sort <field>', 'sort by this field; - before the field reverses the order; nulls always come last')
        .choices(sorts)
        .argParser((text): PageOptions['sort'] => {
          if (!sorts.includes(sortOf(text).sort)) throw new InvalidArgumentError(`sort by ${sorts.join(', ')}`)
          return sortOf(text)
        })
        .default(sortOf(order), order),
    )
    .addOption(
      new Option('--limit <number>', 'show at most this many rows (default: 100 in a table, else all)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(new Option('--cursor <id>', 'continue after the row with this id').argParser(cursorOf))
    .addOption(new Option('--all', 'show all rows, in a table too').default(false))
}

/** How many rows a table shows unless told otherwise. */
const screenfulRows = 100

/** The page that list options ask for. */
export function page(options: PageOptions, output: Output): Page {
  const limit = options.limit ?? (output.table() && !options.all ? screenfulRows : undefined)
  return { ...options.sort, limit, cursor: options.cursor }
}

/** Every platform's own identifiers, as flags: `--slack-team-id` and so on. */
export const idFlags = (): { column: PlatformColumn; flag: string; description: string }[] =>
  platforms.flatMap((platform: Platform) =>
    entriesOf(platform.ids).map(([column, { label }]) => ({
      column,
      flag: flagOf(column),
      description: `${platform.title} ${label}`,
    })),
  )

/** What the flags of identifiers are parsed to. */
export type IdOptions = { readonly [C in PlatformColumn]?: string | undefined }

/** Adds the flags of every platform's own identifiers. */
export function withIdFlags<A extends unknown[], O extends OptionValues>(
  command: Command<A, O>,
): Command<A, O & IdOptions> {
  for (const { flag, description } of idFlags()) command.addOption(new Option(`--${flag} <id>`, description))
  return command as Command<A, O & IdOptions>
}

/** The identifiers among parsed options. */
export const givenIds = (options: IdOptions): { [C in PlatformColumn]?: string } =>
  Object.fromEntries(
    idFlags().flatMap(({ column }) => (options[column] === undefined ? [] : [[column, options[column]]])),
  )

/** Prints what looks odd about what was given. */
export const warnAll = ({ output }: Context, warnings: readonly string[]): void => {
  for (const warning of warnings) output.warn(warning)
}

/** A long line of help as indented lines of 80 columns. */
export const wrapped = (text: string) => text.replace(/(.{1,76})(?:\s|$)/g, '  $1\n').trimEnd()
