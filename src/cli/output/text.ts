/** How many there are, as in `1 problem` and `2 problems`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** Characters that a terminal acts on or hides, the ones that names may not contain. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu

/**
 * The same, but for what joins emoji to one, as in 👩‍💻: joiners and tags are invisible alone. Made on first use, since Node
 * reads the list of all emoji for it: a tenth of what most commands take altogether. TypeScript knows no flag `v` for this
 * version of JavaScript, which every Node has that the package is for.
 */
let unprintableBesideEmoji: RegExp | undefined

/** What emoji are joined with: zero-width joiners, and the tags of a flag. */
const joiners = /[\u200d\u{e007f}]/u

/** What most texts are made of alone; looking up the properties of every character of a long list takes its time. */
const notAscii = /[^\x20-\x7e\n]/

const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** A text in which nothing can act on a terminal, or is invisible: that is shown as an escape, as in `\u{1b}`. */
export function printable(text: string): string {
  if (!joiners.test(text)) return text.replace(unprintable, escaped)
  unprintableBesideEmoji ??= new RegExp(`(\\p{RGI_Emoji})|${unprintable.source}`, 'gv')
  return text.replace(unprintableBesideEmoji, (character, emoji?: string) => emoji ?? escaped(character))
}

const escaped = (character: string) => short[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/** JSON text that means the same and is safe on a terminal. */
export const printableJson = (json: string): string =>
  notAscii.test(json)
    ? json.replace(unprintable, (characters) =>
        characters === '\n'
          ? characters
          : [...Array(characters.length).keys()]
              .map((i) => `\\u${characters.charCodeAt(i).toString(16).padStart(4, '0')}`)
              .join(''),
      )
    : json
