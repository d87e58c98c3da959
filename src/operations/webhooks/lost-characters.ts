import { utf8Of } from './encodings.ts'
import type { Rewritten } from './json-layouts.ts'

/** What stands for letters that a character set does not have, or for bytes that are not UTF-8. */
const holes = /\?+|\ufffd+/g

/** How many ways to fill holes are tried each time; each is hashed, which takes microseconds for a short body. */
const maxTries = 60_000
const maxBytes = 16_384

/** Fills few holes with the letters, marks and signs that people write most, as far as that can be tried. */
export function* restored(body: Buffer): Generator<Rewritten> {
  const text = body.length > maxBytes ? undefined : utf8Of(body)
  if (text === undefined) return
  const all = [...text.matchAll(holes)].filter((hole) => !isOfUrl(text, hole))
  // A question mark at the end of a word may be one.
  const inside = all.filter((hole) => isBeforeLetter(text, hole))
  const how = `with letters in place of ${marksIn(text)}`
  for (const characters of [usual, common])
    for (const found of [inside, all]) {
      const parts = split(text, found, characters)
      const tries = parts.reduce((product, { fillings }) => product * fillings.length, 1)
      if (tries > 1 && tries <= maxTries) for (const filled of fill(parts)) yield { how, text: filled }
    }
}

/** A text up to the end of a hole, and what the hole may have been; the last part has no hole. */
interface Part {
  readonly before: string
  readonly fillings: readonly string[]
}

function split(text: string, found: readonly RegExpExecArray[], characters: readonly string[]): Part[] {
  let at = 0
  const parts = found.map((hole): Part => {
    const before = text.slice(at, hole.index)
    at = hole.index + hole[0].length
    return { before, fillings: fillingsOf(hole[0], characters) }
  })
  return [...parts, { before: text.slice(at), fillings: [''] }]
}

function* fill([part, ...more]: readonly Part[], start = ''): Generator<string> {
  if (!part) yield start
  else for (const filling of part.fillings) yield* fill(more, start + part.before + filling)
}

/** A sentence about letters that a body seems to have lost; undefined for a body that shows nothing of the kind. */
export function lossIn(body: Uint8Array): string | undefined {
  const text = utf8Of(body)
  if (text === undefined)
    return 'the body is not UTF-8, as JSON has to be: a program may have read or written it in another character set'
  const isLoss = (hole: RegExpExecArray) =>
    hole[0].startsWith('\ufffd') ||
    (!isOfUrl(text, hole) &&
      /^[\p{L}\d]/u.test(text.slice(hole.index + hole[0].length, hole.index + hole[0].length + 2)))
  return [...text.matchAll(holes)].some(isLoss)
    ? `the body has ${marksIn(text)} where letters may have been, which a program lost that read or wrote another character set`
    : undefined
}

const marksIn = (text: string) => (text.includes('\ufffd') ? 'replacement characters (U+FFFD)' : 'question marks')

const isBeforeLetter = (text: string, { 0: marks, index }: RegExpExecArray): boolean =>
  /^[\p{L}\d]/u.test(text.slice(index + marks.length, index + marks.length + 2))

/** How far a URL is followed. */
const maxUrlCharacters = 500

function isOfUrl(text: string, { 0: marks, index }: RegExpExecArray): boolean {
  const [before = ''] = /[^\s"'<>|]*$/.exec(text.slice(Math.max(0, index - maxUrlCharacters), index)) ?? []
  const [after = ''] = /^[^\s"'<>|]*/.exec(text.slice(index + marks.length, index + maxUrlCharacters)) ?? []
  return marks === '?' && (/:(\\?\/){2}/.test(before) || /^\w+=/.test(after))
}

const range = (from: number, to: number) => [...Array(to - from + 1).keys()].map((i) => String.fromCodePoint(from + i))

const usual = [...'äöüÄÖÜßéèêëàâáçñóôíúåæøœ’“”–—…€']

// Letters of European languages, the marks of word processors, and emoji.
const common = [
  ...range(0xa0, 0x17f),
  ...range(0x2010, 0x2026),
  ...['€', '™', '→', '✓', '✅', '❤', '❤️', '⚠', '⚠️', '•'],
  ...range(0x1f300, 0x1f64f),
  ...range(0x1f680, 0x1f6ff),
  ...range(0x1f900, 0x1f9ff),
]

const pairs = usual.flatMap((first) => usual.map((second) => first + second))

/** What a hole may have been, besides itself: one mark for each character, each half of an emoji, or each byte. */
function fillingsOf(hole: string, characters: readonly string[]): readonly string[] {
  const { length } = hole
  const one = characters.filter((text) => [text.length, Buffer.byteLength(text)].includes(length))
  return [hole, ...one, ...(length === 2 ? pairs : [])]
}
