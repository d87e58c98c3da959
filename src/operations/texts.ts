/** Texts of several messages: commands to type, whose references are as they were typed, or ids. @module */
import { shellWord } from '../errors.ts'
import { flagOf, type SecretField } from '../integration.ts'

/**
 * A command to type. A name or an id that begins with - would be taken for an option: it goes behind --, and the options
 * before it.
 *
 * @param command without `integrations`, as in `secrets list`
 */
export function commandLine(command: string, operands: readonly string[], options: readonly string[] = []): string {
  const words = operands.some(looksLikeOption) ? [...options, '--', ...operands] : [...operands, ...options]
  return ['integrations', command, ...words.map(shellWord)].join(' ')
}

/** A name or an id as a word of a command to type, where the command itself is not told. */
export const operandWord = (word: string): string => `${looksLikeOption(word) ? '-- ' : ''}${shellWord(word)}`

const looksLikeOption = (word: string) => word.startsWith('-')

/** Lists the versions of an integration's secrets. */
export const secretsCommand = (ref: string): string => commandLine('secrets list', [ref])

/** Stores new values for secrets. */
export const rotateCommand = (ref: string, ...fields: readonly SecretField[]): string =>
  commandLine(
    'rotate',
    [ref],
    fields.flatMap((field) => ['--field', flagOf(field)]),
  )

/** What to do when an integration changed meanwhile. */
export const checkAndRetry = (ref: string): string =>
  `check what changed with ${commandLine('show', [ref])}, and try again`

const units = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
] as const

/** A time of whole seconds in the largest unit that it is a multiple of, as it can be typed: `90d`, `36h`. @param ms in milliseconds */
export function durationText(ms: number): string {
  const [size, unit] = units.find(([size]) => ms % size === 0) ?? [1000, 's']
  return `${ms / size}${unit}`
}
