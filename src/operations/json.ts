import { badInput } from '../errors.ts'
import type { Json } from '../integration.ts'

/** The largest document taken, in bytes of UTF-8. */
export const largestDocument = 256 * 1024

/** The deepest nesting taken. */
export const deepest = 32

const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Reads a JSON document, strictly: what is accepted is stored and shown again without loss, on either database.
 *
 * @param source names the document in messages, as in "--config"
 * @throws BAD_INPUT with the line and column: syntax, size, depth, duplicate or dangerous keys, numbers that JavaScript
 *   cannot hold, characters that PostgreSQL cannot
 */
export async function parseJson(text: string, source: string): Promise<Json> {
  if (Buffer.byteLength(text) > largestDocument) throw badInput(`${source} is larger than 256 KB`, 'shorten it')
  const { printParseErrorCode, visit } = await import('jsonc-parser')
  const at = (line: number, character: number) => `${source}, line ${line + 1}, column ${character + 1}`
  const refuse = (line: number, character: number, what: string, hint = 'correct it') => badInput(`${at(line, character)}: ${what}`, hint)

  const root: Json[] = []
  const open: (Json[] | { [key: string]: Json })[] = [root]
  let key = ''
  const put = (value: Json) => {
    const parent = open.at(-1)
    if (Array.isArray(parent)) parent.push(value)
    else if (parent) parent[key] = value
  }
  const begin = (container: Json[] | { [key: string]: Json }, line: number, character: number) => {
    if (open.length > deepest) throw refuse(line, character, `nested deeper than ${deepest} levels`, 'flatten it')
    put(container)
    open.push(container)
  }
  const keys: string[] = []

  visit(
    text,
    {
      onObjectBegin: (_offset, _length, line, character) => {
        keys.push(key)
        begin({}, line, character)
      },
      onObjectEnd: () => {
        open.pop()
        key = keys.pop() ?? ''
      },
      onArrayBegin: (_offset, _length, line, character) => {
        keys.push(key)
        begin([], line, character)
      },
      onArrayEnd: () => {
        open.pop()
        key = keys.pop() ?? ''
      },
      onObjectProperty: (property, _offset, _length, line, character) => {
        const object = open.at(-1)
        if (forbiddenKeys.has(property)) throw refuse(line, character, `the key ${property} is not allowed`, 'give it another name')
        if (!storable(property)) throw refuse(line, character, 'a key holds a character that cannot be stored', 'leave out NUL and lone surrogates')
        if (object && Object.hasOwn(object, property)) throw refuse(line, character, `the key ${JSON.stringify(property)} stands there twice`, 'keep one of the two')
        key = property
      },
      onLiteralValue: (value: Json, offset, length, line, character) => {
        if (typeof value === 'number' && !survives(text.slice(offset, offset + length), value))
          throw refuse(line, character, 'a number cannot be kept exactly', 'write it as a string, in double quotes')
        if (typeof value === 'string' && !storable(value)) throw refuse(line, character, 'a string holds a character that cannot be stored', 'leave out NUL and lone surrogates')
        put(value)
      },
      onError: (error, _offset, _length, line, character) => {
        throw refuse(line, character, problem(printParseErrorCode(error)), 'JSON has double quotes around keys and strings, and no comma after the last item')
      },
    },
    { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false },
  )
  const [value] = root
  if (value === undefined) throw refuse(0, 0, 'there is no value')
  return value
}

// What PostgreSQL's jsonb refuses, or stores as something else.
const storable = (text: string) => text.isWellFormed() && !text.includes('\0')

/** Whether a number's text and what JavaScript prints for it are the same decimal. */
function survives(text: string, value: number): boolean {
  return Number.isFinite(value) && decimal(text) === decimal(String(value))
}

/** A decimal as digits without zeros around them, and the power of ten that they are scaled by. */
function decimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}

// InvalidSymbol -> "invalid symbol"
const problem = (code: string) => code.replace(/[A-Z]/g, (letter, i) => (i === 0 ? letter.toLowerCase() : ` ${letter.toLowerCase()}`))

/** The same value with the keys of every object in order. */
export function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const sorted: { [key: string]: Json } = {}
  for (const key of Object.keys(value).sort()) sorted[key] = sortKeys(value[key] ?? null)
  return sorted
}
