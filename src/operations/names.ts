import { badInput } from '../errors.ts'

/** The longest name, in characters. */
export const longestName = 1000

/**
 * Characters that a terminal acts on or hides: control, format (bidirectional, zero-width), unassigned, private use,
 * lone surrogates, line and paragraph separators.
 */
export const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u

/**
 * Checks a name on its way in; what passes comes back byte for byte from either database.
 *
 * @param what completes "the … name", as in "integration"
 * @throws BAD_INPUT
 */
export function checkName(what: string, name: string): string {
  const refuse = (why: string, hint: string) => badInput(`the ${what} name ${why}`, hint)
  if (name.trim() === '') throw refuse('is empty', 'give it at least one visible character')
  // U+FFFD is what bytes that are not UTF-8 have become by the time they reach a program.
  if (!name.isWellFormed() || name.includes('\uFFFD')) throw refuse('is not valid Unicode', 'type it in UTF-8')
  if (unprintable.test(name))
    throw refuse('holds a control, invisible or unassigned character', 'leave such characters out')
  if (name !== name.trim()) throw refuse('begins or ends with a space', 'leave the space out')
  if (name !== name.normalize('NFC'))
    throw refuse('is not in Unicode normal form C', 'type its accented letters as one character each')
  if (name.includes('/'))
    throw refuse('contains a slash, which separates workspace and name', 'use another character, as in support-eu')
  if ([...name].length > longestName) throw refuse(`is longer than ${longestName} characters`, 'shorten it')
  return name
}
