import { type Argument, type CommandUnknownOpts, InvalidArgumentError, type Option } from '@commander-js/extra-typings'
import type { CommanderError } from 'commander'
import { distance } from 'fastest-levenshtein'
import { badInput, type IntegrationsError } from '../errors.ts'
import { flagOf, secretFields } from '../integration.ts'
import { formats, reportFormats } from './host.ts'
import { isReferring, mayBeRef, OptionLikeRef } from './input/option-like-ref.ts'

const secretFlags: readonly string[] = [...secretFields, 'clientSecret'].map((field) => `--${flagOf(field)}`)

/** Has a command, and those below it, refuse a command line with an error of this program's own type. */
export function reportUsage(command: CommandUnknownOpts, argv: readonly string[]): void {
  command.exitOverride((error) => {
    if (error.exitCode === 0 || error.code === 'commander.help') throw error
    throw usageError(command, error, argv)
  })
  for (const option of command.options)
    quoteNoValue(
      option,
      `option '${option.flags}'`,
      (value) => argv.includes(`${option.short}${value}`) && mayBeRef(`${option.short}${value}`),
    )
  for (const argument of command.registeredArguments) quoteNoValue(argument, `argument '${argument.name()}'`)
  for (const child of command.commands) {
    // A subcommand that was added inherits nothing by itself.
    child.copyInheritedSettings(command)
    reportUsage(child, argv)
  }
}

/** commander's message quotes a value that is not accepted, and the value may be a secret. */
function quoteNoValue(taker: Option | Argument, name: string, isRef = (_: string) => false): void {
  const { parseArg } = taker
  if (!parseArg) return
  taker.parseArg = (value, previous) => {
    try {
      return parseArg.call(taker, value, previous) as typeof previous
    } catch (error) {
      if (error instanceof InvalidArgumentError)
        throw badInput(
          `${name} does not take that value`,
          isRef(value) ? 'an id that begins with - goes behind --' : error.message,
        )
      throw error
    }
  }
}

const label = 'error: '

/** What other programs call a command of the same parent, or what does the same here. */
const otherCommands: { readonly [word: string]: string } = {
  ls: 'list',
  rm: 'remove',
  del: 'remove',
  delete: 'remove',
  get: 'show',
  view: 'show',
  cat: 'show',
  describe: 'show',
  create: 'add',
  new: 'add',
  set: 'update',
  edit: 'update',
  status: 'db status',
  version: '--version',
}

function usageError(command: CommandUnknownOpts, { code, message }: CommanderError, argv: readonly string[]) {
  const text = message.startsWith(label) ? message.slice(label.length) : message
  if (code === 'commander.unknownOption') return unknownOption(command, text, argv)
  if (code === 'commander.unknownCommand') return unknownCommand(command, text, argv)
  const meant = code === 'commander.excessArguments' && nearestOf(command)
  if (meant) return badInput(text, `did you mean ${pathOf(meant).replace(/^\S+ /, '')}?`)
  if (code === 'commander.excessArguments' && command.options.some(({ long }) => long === '--platform'))
    return badInput(text, `filter with options, as in ${pathOf(command)} --platform slack`)
  // What follows a short option is its value: of -d, the database.
  const [word = ''] = argv.filter((one) => one.startsWith('-') && !one.startsWith('--'))
  const mistaken = code === 'commander.missingArgument' && optionLikeRef(command, text, argv, word)
  if (mistaken) return mistaken
  return advised(text, code === 'commander.missingArgument' ? `${pathOf(command)} ${command.usage()}` : helpOf(command))
}

/** The subcommand that the first operand means of a command that runs without one, too. */
function nearestOf(command: CommandUnknownOpts): CommandUnknownOpts | undefined {
  const [word = ''] = command.args
  const given = otherCommands[word] === 'list' || word === 'list' ? 'ignored' : word
  const [best] = command.commands.toSorted((a, b) => distance(a.name(), given) - distance(b.name(), given))
  return best && distance(best.name(), given) <= 2 ? best : undefined
}

/** commander quotes the whole word, as in `--access-token=…` or `-t…`: what follows the flag may be a secret. */
function unknownOption(command: CommandUnknownOpts, text: string, argv: readonly string[]): IntegrationsError {
  const word = argv.find((one) => one.startsWith('-') && text.includes(`'${one}'`))
  if (word === undefined) return badInput('unknown option', helpOf(command))
  const flag = word.startsWith('--') ? (word.split('=')[0] ?? '') : word.slice(0, 2)
  const shown = text.replace(word, () => flag)
  const [message = ''] = shown.split('\n')
  if (secretFlags.includes(flag))
    return badInput(
      message,
      'no flag takes a secret, which others could read: pipe it in with -stdin, or use -file or -env',
    )
  // Each flag that overrides a refusal has one meaning.
  const instead = command.options.filter(({ long }) => long === '--force-shape' || long === '--end-previous')
  if (flag === '--force' && instead.length > 0)
    return badInput(
      message,
      `pass ${instead.map(({ long, description }) => `${long} to ${description}`).join('; or ')}`,
    )
  const cleared = flag.replace(/^--no-/, '')
  if (cleared !== flag && command.options.some((one) => one.long === '--unset' && one.argChoices?.includes(cleared)))
    return badInput(message, `to clear the ${cleared}: --unset ${cleared}`)
  const format = formatOption(flag)
  if (format !== undefined) return badInput(message, format)
  return (shown === message && optionLikeRef(command, message, argv, word)) || advised(shown, helpOf(command))
}

/** The error for a word that was taken for an option, and may be the reference that the command needs. */
function optionLikeRef(command: CommandUnknownOpts, message: string, argv: readonly string[], word: string) {
  const argument = command.registeredArguments.map((one) => one.name()).find(isReferring)
  if (argument === undefined || !mayBeRef(word)) return undefined
  const line = lineWithRef(command, argument, argv)
  const hint = word.startsWith('--')
    ? helpOf(command)
    : `an id that begins with - goes behind --, as in ${line(`<${argument}>`)}`
  return new OptionLikeRef(message, { hint, word, argument, line })
}

/** How to type a command whose reference begins with -. What else was typed may be a secret, and is not repeated. */
function lineWithRef(command: CommandUnknownOpts, argument: string, argv: readonly string[]) {
  const hasOthers = argv.filter((word) => word.startsWith('-') && word !== '--').length > 1
  const others = command.registeredArguments.filter((one) => one.required && one.name() !== argument)
  const operands = others.map((one) => `<${one.name()}>`)
  // What is run has a -- of its own.
  const behind = command.name() === 'exec' ? ['--', ...operands] : operands
  return (ref: string) => [pathOf(command), ...(hasOthers ? ['[options]'] : []), '--', ref, ...behind].join(' ')
}

/** A word that names a command elsewhere leads to ours; others to what commander suggests. */
function unknownCommand(command: CommandUnknownOpts, text: string, argv: readonly string[]): IntegrationsError {
  const word = argv.find((one) => Object.hasOwn(otherCommands, one) && text.includes(`'${one}'`)) ?? ''
  const known = otherCommands[word] ?? ''
  const [name] = known.split(' ')
  const isThere = known.startsWith('-') ? !command.parent : command.commands.some((one) => one.name() === name)
  if (!isThere) return advised(text, helpOf(command))
  const needsNothing = / |^-|^list$/.test(known)
  return badInput(text.split('\n')[0] ?? '', `${pathOf(command)} ${known}${needsNothing ? '' : ' --help'}`)
}

/** The option that prints as another program's does: `--json`, `--format`. */
function formatOption(flag: string): string | undefined {
  const name = flag.replace(/^-+/, '')
  if ([...formats, ...reportFormats].some((one) => one === name)) return `pass -o ${name}`
  return name === 'format' ? `pass -o with one of ${formats.join(', ')}` : undefined
}

/** commander's suggestion, where it has one, is a second line. */
function advised(text: string, hint: string): IntegrationsError {
  const [message = '', suggestion = hint] = text.split('\n')
  return badInput(message, suggestion.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?'))
}

const pathOf = (command: CommandUnknownOpts): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()

const helpOf = (command: CommandUnknownOpts) => `${pathOf(command)} --help`
