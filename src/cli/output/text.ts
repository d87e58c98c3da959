/** How many there are, as in `1 problem` and `2 problems`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** Characters that a terminal acts on or hides, the ones that names may not contain. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu

/** What most texts are made of alone; looking up the properties of every character of a long list takes its time. */
const notAscii = /[^\x20-\x7e\n]/

const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** A text in which nothing can act on a terminal: what could is shown as an escape, as in `\u{1b}`. */
export const printable = (text: string): string =>
  text.replace(unprintable, (character) => short[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)

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
