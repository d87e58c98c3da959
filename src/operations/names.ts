import { badInput, IntegrationsError } from '../errors.ts'

/** The longest name, in characters. */
const maxNameLength = 1000

/**
 * Characters that a terminal acts on or hides: control, format (bidirectional, zero-width), unassigned, private use,
 * lone surrogates, line and paragraph separators.
 */
export const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u

/**
 * A name without its emoji, and without what joins several to one, as in 👩‍🚀. Node reads the list of all emoji for it: a
 * tenth of what most commands take altogether. TypeScript does not know the flag `v`, which every Node has.
 */
const withoutEmoji = (name: string) => (/[^\x20-\x7e]/.test(name) ? name.replace(/\p{RGI_Emoji}/gv, '') : name)

/** Characters that choose whether an emoji has colours: invisible elsewhere, so that two names would look the same. */
const emojiStyles = /[\ufe0e\ufe0f]/

/**
 * Checks a text of one line to store. Both databases give an accepted text back byte for byte.
 *
 * @param what the text in messages, as in "integration name"
 * @param most how many characters it may have
 * @throws BAD_INPUT
 */
export function checkText(what: string, text: string, most: number): void {
  const noun = what.split(' ').at(-1)
  const refuse = (why: string, hint: string) => badInput(`the ${what} ${why}`, hint)
  if (text.trim() === '') throw refuse('is empty', 'give it at least one visible character')
  // Node decodes bytes that are not UTF-8 to U+FFFD.
  if (!text.isWellFormed() || text.includes('\uFFFD')) throw refuse('is not valid Unicode', `type the ${noun} in UTF-8`)
  const besideEmoji = withoutEmoji(text)
  if (unprintable.test(besideEmoji) || emojiStyles.test(besideEmoji))
    throw refuse('contains a control, invisible or unassigned character', 'remove the character')
  if (text !== text.trim()) throw refuse('begins or ends with a space', 'remove the space')
  if (text !== text.normalize('NFC'))
    throw refuse('is not in Unicode normal form C', 'type each accented letter as one character')
  if ([...text].length > most) throw refuse(`is longer than ${most} characters`, `shorten the ${noun}`)
}

/**
 * Checks a name to store.
 *
 * @param what the noun before "name" in messages, as in "integration"
 * @throws BAD_INPUT
 */
export function checkName(what: string, name: string): string {
  checkText(`${what} name`, name, maxNameLength)
  if (name.includes('/'))
    throw badInput(
      `the ${what} name contains a slash, which separates workspace and name`,
      'use another character, as in support-eu',
    )
  return name
}

/** An integration of the platform with this title has the name in the workspace. */
export const nameTaken = ({
  workspace,
  title,
  name,
  hint = 'choose another --name',
}: {
  workspace: string
  title: string
  name: string
  hint?: string
}) =>
  new IntegrationsError({
    code: 'ALREADY_EXISTS',
    message: `${workspace} already has a ${title} integration named ${JSON.stringify(name)}`,
    hint,
  })

/** A workspace, user or app has the name. */
export const alreadyExists = (what: 'workspace' | 'user' | 'app', name: string, hint: string): IntegrationsError =>
  new IntegrationsError({ code: 'ALREADY_EXISTS', message: `${what} ${JSON.stringify(name)} already exists`, hint })
