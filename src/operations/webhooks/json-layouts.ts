import { isObject, type Json, sortKeys } from '../../json.ts'

/** A text, and what was done to get it. */
export interface Rewritten {
  /** Completes "the body …". */
  readonly how: string
  readonly text: string
}

/** A JSON text with its escapes as common serializers write them, and in their layouts. */
export function* rewrittenJson(text: string, json: Json): Generator<Rewritten> {
  yield* escaped('', text)
  yield* escaped('with every escape written out', unescaped(text))
  if (typeof json !== 'object' || json === null) return
  for (const [layout, laidOut] of layoutsOf(json)) yield* escaped(`as JSON serialized ${layout}`, laidOut)
  for (const [layout, laidOut] of layoutsOf(sortKeys(json)).slice(0, 2))
    yield* escaped(`as JSON with sorted keys, serialized ${layout}`, laidOut)
  if (!isObject(json)) return
  for (const entries of orders(Object.entries(json)))
    yield { how: 'as JSON with its keys in another order', text: JSON.stringify(Object.fromEntries(entries)) }
}

const layoutsOf = (json: Json): readonly (readonly [layout: string, text: string])[] => [
  ['without spaces', JSON.stringify(json)],
  ['with a space after each comma and colon', spaced(json)],
  ['indented by 2', JSON.stringify(json, null, 2)],
  ['indented by 4', JSON.stringify(json, null, 4)],
  ['indented by tabs', JSON.stringify(json, null, '\t')],
]

/** JSON as Python writes it. */
function spaced(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (!isObject(value)) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)}: ${spaced(one)}`)
    .join(', ')}}`
}

const hex = (character: string) => character.charCodeAt(0).toString(16).padStart(4, '0')
const lower = (character: string) => `\\u${hex(character)}`
const upper = (character: string) => `\\u${hex(character).toUpperCase()}`
const notAscii = /[\x7f-\uffff]/g

// What these match stands in the strings of a JSON text alone.
const slashes = [
  ['', (text: string) => text],
  ['\\/ for every slash', (text: string) => text.replace(/\\?\//g, '\\/')],
] as const
const marks = [
  ['', (text: string) => text],
  // Go, Rails.
  ['\\u003c, \\u003e and \\u0026', (text: string) => text.replace(/[<>&\u2028\u2029]/g, lower)],
  ['\\u003C, \\u003E and \\u0026', (text: string) => text.replace(/[<>&]/g, upper)],
  // Gson.
  ['\\u003c, \\u003d and \\u0027', (text: string) => text.replace(/[<>&='\u2028\u2029]/g, lower)],
  // .NET.
  ['\\u003C, \\u0027 and \\u0022', (text: string) => text.replace(/\\"/g, '\\u0022').replace(/[<>&'+`]/g, upper)],
] as const
const letters = [
  ['', (text: string) => text],
  ['\\u for what is not ASCII', (text: string) => text.replace(notAscii, lower)],
  ['\\u, with capital hex digits, for what is not ASCII', (text: string) => text.replace(notAscii, upper)],
] as const

/** A JSON text, without a newline at the end and with one, in every combination of escapes that differs. */
function* escaped(layout: string, text: string): Generator<Rewritten> {
  const seen = new Set<string>()
  for (const [ofLetters, escapeLetters] of letters)
    for (const [ofMarks, escapeMarks] of marks)
      for (const [ofSlashes, escapeSlashes] of slashes) {
        const written = escapeSlashes(escapeMarks(escapeLetters(text)))
        if (seen.has(written)) continue
        seen.add(written)
        const escapes = [ofSlashes, ofMarks, ofLetters].filter((one) => one !== '').join(' and ')
        const how = [layout, ...(escapes === '' ? [] : [`with ${escapes}`])].filter((one) => one !== '').join(', ')
        if (how !== '') yield { how, text: written }
        if (how !== '') yield { how: `${how}, and a newline at the end`, text: `${written}\n` }
      }
}

/** A JSON text with every escape written out that needs none. */
const unescaped = (text: string): string =>
  text.replace(/\\(u[0-9a-f]{4}|.)/gi, (written, what: string) => {
    if (what === '/') return '/'
    const character = what.length === 5 ? String.fromCharCode(Number.parseInt(what.slice(1), 16)) : '\0'
    return character < ' ' || character === '"' || character === '\\' ? written : character
  })

/** How many keys are put into every order: 6 have 720 orders. */
const maxOrdered = 6

/** Every order of a few values. */
function* orders<T>(left: readonly T[], taken: readonly T[] = []): Generator<readonly T[]> {
  if (left.length > maxOrdered) return
  if (left.length === 0) yield taken
  for (const [i, one] of left.entries()) yield* orders([...left.slice(0, i), ...left.slice(i + 1)], [...taken, one])
}
