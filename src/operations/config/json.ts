import { badInput } from '../../errors.ts'
import { isStorable, type Json } from '../../integration.ts'

/** The largest document taken, in bytes of UTF-8, white space between its tokens not counted. */
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
  const { printParseErrorCode, visit } = await import('jsonc-parser')
  const refuse = (line: number, character: number, what: string, hint: string) =>
    badInput(`${source}, line ${line + 1}, column ${character + 1}: ${what}`, hint)
  if (text.startsWith('\uFEFF'))
    throw refuse(0, 0, 'there is a byte order mark', 'save it as UTF-8 without a byte order mark')

  const root: Json[] = []
  const open: (Json[] | { [key: string]: Json })[] = [root]
  const keys: string[] = []
  let key = ''
  let size = 0
  const count = (offset: number, length: number, line: number, character: number) => {
    size += Buffer.byteLength(text.slice(offset, offset + length))
    if (size > largestDocument) throw refuse(line, character, 'here it gets larger than 256 KB', 'shorten it')
  }
  const put = (value: Json) => {
    const parent = open.at(-1)
    if (Array.isArray(parent)) parent.push(value)
    else if (parent) parent[key] = value
  }
  const begin = (container: Json[] | { [key: string]: Json }, line: number, character: number) => {
    if (open.length > deepest) throw refuse(line, character, `nested deeper than ${deepest} levels`, 'flatten it')
    put(container)
    open.push(container)
    keys.push(key)
  }
  const end = (...token: Parameters<typeof count>) => {
    count(...token)
    open.pop()
    key = keys.pop() ?? ''
  }

  visit(
    text,
    {
      onObjectBegin: (offset, length, line, character) => {
        count(offset, length, line, character)
        begin({}, line, character)
      },
      onObjectEnd: end,
      onArrayBegin: (offset, length, line, character) => {
        count(offset, length, line, character)
        begin([], line, character)
      },
      onArrayEnd: end,
      onSeparator: (_separator, ...token) => count(...token),
      onObjectProperty: (property, offset, length, line, character) => {
        count(offset, length, line, character)
        if (forbiddenKeys.has(property))
          throw refuse(line, character, `the key ${property} is not allowed`, 'give it another name')
        if (!isStorable(property))
          throw refuse(line, character, 'a key holds a character that cannot be stored', leaveOut)
        if (Object.hasOwn(open.at(-1) ?? {}, property))
          throw refuse(line, character, `the key ${JSON.stringify(property)} stands there twice`, 'keep one of the two')
        key = property
      },
      onLiteralValue: (value: Json, offset, length, line, character) => {
        count(offset, length, line, character)
        if (typeof value === 'number' && !survives(text.slice(offset, offset + length), value))
          throw refuse(line, character, 'a number cannot be kept exactly', 'write it as a string, in double quotes')
        if (typeof value === 'string' && !isStorable(value))
          throw refuse(line, character, 'a string holds a character that cannot be stored', leaveOut)
        put(value)
      },
      onError: (error, _offset, _length, line, character) => {
        throw refuse(line, character, words(printParseErrorCode(error)), syntaxHint)
      },
    },
    { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false },
  )
  return root[0] ?? null
}

const leaveOut = 'leave out NUL and lone surrogates'
const syntaxHint = 'JSON has double quotes around keys and strings, and no comma after the last item'

// What PostgreSQL's jsonb refuses, or stores as something else.

/** Whether a number's text and what JavaScript prints for it are the same decimal. */
function survives(text: string, value: number): boolean {
  return Number.isFinite(value) && decimal(text) === decimal(String(value))
}

/** A decimal as digits without zeros around them, and the power of ten that they are scaled by. */
function decimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  // Not /0+$/, whose time grows with the square of a long row of zeros.
  let end = digits.length
  while (digits[end - 1] === '0') end--
  if (end === 0) return `${sign}0`
  return `${sign}${digits.slice(0, end)}e${Number(exponent) - fraction.length + digits.length - end}`
}

// InvalidSymbol -> "invalid symbol"
const words = (code: string) => code.replace(/(?!^)[A-Z]/g, ' $&').toLowerCase()
