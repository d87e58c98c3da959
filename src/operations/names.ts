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
 * Checks a name to store. Both databases give an accepted name back byte for byte.
 *
 * @param what the noun before "name" in messages, as in "integration"
 * @throws BAD_INPUT
 */
export function checkName(what: string, name: string): string {
  const refuse = (why: string, hint: string) => badInput(`the ${what} name ${why}`, hint)
  if (name.trim() === '') throw refuse('is empty', 'give it at least one visible character')
  // Node decodes bytes that are not UTF-8 to U+FFFD.
  if (!name.isWellFormed() || name.includes('\uFFFD')) throw refuse('is not valid Unicode', 'type the name in UTF-8')
  const besideEmoji = withoutEmoji(name)
  if (unprintable.test(besideEmoji) || emojiStyles.test(besideEmoji))
    throw refuse('contains a control, invisible or unassigned character', 'remove the character')
  if (name !== name.trim()) throw refuse('begins or ends with a space', 'remove the space')
  if (name !== name.normalize('NFC'))
    throw refuse('is not in Unicode normal form C', 'type each accented letter as one character')
  if (name.includes('/'))
    throw refuse('contains a slash, which separates workspace and name', 'use another character, as in support-eu')
  if ([...name].length > maxNameLength) throw refuse(`is longer than ${maxNameLength} characters`, 'shorten the name')
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
