import { Argument, type CommandUnknownOpts, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import { flagOf, type Instant, type PlatformColumn, type SecretField, secretFields } from '../../integration.ts'
import { type ApiUrls, parseApiUrl } from '../../platforms/api-urls.ts'
import { platforms } from '../../platforms/platforms.ts'
import type { Page } from '../../store/tables/page.ts'
import type { Context } from '../context.ts'
import type { Output, View } from '../output/output.ts'
import { duration, instant } from './time.ts'

/** The reference to an integration, as every command about one takes it. */
export const refArgument = () =>
  new Argument('<ref>', 'id, workspace/name, unique name, or the first 6 or more characters of the id')

/** The reference to a workspace. */
export const workspaceArgument = () => new Argument('<workspace>', 'id or name of the workspace')

/** The secrets as flags and arguments name them. */
export const secretFlags = secretFields.map(flagOf)

/** The secret that a flag names, as in `webhook-secret`. @throws InvalidArgumentError */
export function secretField(flag: string): SecretField {
  const field = secretFields.find((one) => flagOf(one) === flag)
  if (!field) throw new InvalidArgumentError(`Write ${secretFlags.join(', ')}.`)
  return field
}

/** One of an integration's secrets, as commands about a secret take it. */
export const secretFieldArgument = () =>
  new Argument('<field>', 'the secret').choices(secretFlags).argParser(secretField)

/** Adds examples to a command's help; the first word of the program is left out. */
export const examples = (...lines: string[]): string => `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`

/** The fields that a command answers with, for completion. */
export const fieldsOf = new WeakMap<CommandUnknownOpts, readonly string[]>()

/** Says which fields a command answers with, and refuses others before it does anything. */
export function declareOutput<C extends CommandUnknownOpts, Row>(command: C, output: Output, view: View<Row>): C {
  const fields = view.columns.map(({ field }) => field)
  fieldsOf.set(command, fields)
  command.addHelpText('after', `\nFields:\n${wrapped(fields.join(', '))}`)
  command.hook('preAction', () => output.check(view))
  return command
}

/** Says that a command answers with text, such as a script, and refuses another form before it does anything. */
export function declareTextOutput<C extends CommandUnknownOpts>(command: C, output: Output): C {
  command.hook('preAction', () => output.textOnly())
  return command
}

/** A whole number from `least` up. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`Write a whole number from ${least} up.`)
    return value
  }

/** Options of every command that changes one integration. */
export const ifVersionOption = () =>
  new Option('--if-version <number>', 'refuse (exit 5) unless the version still is this one').argParser(wholeNumber(0))

/** Options of every command that changes something. */
export const dryRunOption = () => new Option('--dry-run', 'do everything but the change itself').default(false)

/** Which secret to sign a webhook with. */
export const signerOption = () =>
  new Option('--secret <which>', 'the current secret, or the newest before it that is still valid')
    .choices(['current', 'previous'] as const)
    .default('current' as const)

/** Accepts what does not look like what it should be. */
export const forceOption = () =>
  new Option('--force', 'accept a value whose shape is not the documented one').default(false)

/** Asks the platform about a new access token. */
export const checkOption = () =>
  new Option(
    '--check',
    'ask the platform first: an access token that it refuses, or that is of another team, is not stored',
  ).default(false)

/** Where platforms are to be asked, on commands that ask them. */
export const apiUrlOption = () =>
  new Option(
    '--api-url <platform=url>',
    "ask a platform's API here instead, as in slack=http://127.0.0.1:1234/; recorded in the audit log",
  ).argParser((text, before: string[] | undefined): string[] => [...(before ?? []), text])

/**
 * Where platforms are to be asked: INTEGRATIONS_API_URL, and before it the option.
 *
 * @param options `check`: of a command that asks them only then
 * @throws BAD_INPUT
 */
export function apiUrls(
  { host }: Context,
  { apiUrl = [], check = true }: { apiUrl?: readonly string[] | undefined; check?: boolean },
): ApiUrls {
  if (apiUrl.length > 0 && !check)
    throw badInput(
      '--api-url was given without --check, and nobody is asked',
      'pass --check too, or leave --api-url out',
    )
  const set = host.env.INTEGRATIONS_API_URL ?? ''
  return new Map([...(set === '' ? [] : set.split(',')), ...apiUrl].map(parseApiUrl))
}

/** The options of a list, with the fields it can be sorted by; the first is the default. */
export const pageOptions = (sorts: readonly [string, ...string[]]) =>
  [
    new Option('--sort <field>', 'sort by this field; with - before it, backwards; nulls come last both ways')
      .choices(sorts)
      .argParser((text): { sort: string; descending: boolean } => {
        const sort = text.replace(/^-/, '')
        if (!sorts.includes(sort)) throw new InvalidArgumentError(`Sort by ${sorts.join(', ')}.`)
        return { sort, descending: text.startsWith('-') }
      })
      .default({ sort: sorts[0], descending: false }, sorts[0]),
    new Option('--limit <number>', 'show at most so many (default: 100 on a terminal, else all)').argParser(
      wholeNumber(1),
    ),
    new Option('--cursor <id>', 'go on after the row with this id'),
    new Option('--all', 'show all, on a terminal too').default(false),
  ] as const

/** How many rows a terminal shows unless told otherwise. */
const screenful = 100

/** The page that list options ask for. */
export function page(
  options: {
    sort: { sort: string; descending: boolean }
    limit?: number | undefined
    cursor?: string | undefined
    all: boolean
  },
  output: Output,
): Page {
  const limit = options.limit ?? (output.table() && !options.all ? screenful : undefined)
  return {
    ...options.sort,
    ...(limit === undefined ? {} : { limit }),
    ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
  }
}

/** Every platform's own identifiers, as flags: `--slack-team-id` and so on. */
export const idFlags = (): { column: PlatformColumn; flag: string; description: string }[] =>
  platforms.flatMap((platform) =>
    Object.entries(platform.ids).map(([column, { label }]) => ({
      column: column as PlatformColumn,
      flag: flagOf(column),
      description: `${platform.title} ${label}`,
    })),
  )

/** Adds the flags of every platform's own identifiers. */
export function addIdFlags(command: CommandUnknownOpts): void {
  for (const { flag, description } of idFlags()) command.addOption(new Option(`--${flag} <id>`, description))
}

/** The identifiers among parsed options. */
export const givenIds = (options: object): { [C in PlatformColumn]?: string } =>
  Object.fromEntries(
    idFlags().flatMap(({ column }) =>
      typeof (options as Record<string, unknown>)[column] === 'string'
        ? [[column, (options as Record<string, string>)[column]]]
        : [],
    ),
  )

/** The options that say when an access token ends. */
export const expiryOptions = () =>
  [
    new Option('--expires-at <instant>', 'when the access token ends, as in 2027-01-31T12:00:00Z')
      .argParser(instant)
      .conflicts(['expiresIn', 'expiry']),
    new Option('--expires-in <duration>', 'in how long the access token ends, as in 12h')
      .argParser(duration)
      .conflicts(['expiresAt', 'expiry']),
    new Option('--no-expiry', 'the access token never ends').conflicts(['expiresAt', 'expiresIn']),
  ] as const

/** When an access token ends, from those options. */
export function expiry(
  {
    expiresAt,
    expiresIn,
    expiry,
  }: { expiresAt?: Instant | undefined; expiresIn?: number | undefined; expiry: boolean },
  now = Date.now(),
): Instant | 'never' | 'unknown' {
  if (!expiry) return 'never'
  if (expiresIn !== undefined) return new Date(now + expiresIn).toISOString()
  return expiresAt ?? 'unknown'
}

/** Prints what looks odd about what was given. */
export const warnAll = ({ output }: Context, warnings: readonly string[]): void => {
  for (const warning of warnings) output.warn(warning)
}

const wrapped = (text: string) => text.replace(/(.{1,76})(?:\s|$)/g, '  $1\n').trimEnd()
