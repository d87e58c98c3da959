import { badInput } from '../../errors.ts'
import { isStorable } from '../../integration.ts'
import type { Json, JsonObject } from '../../json.ts'

/** The largest document accepted, in bytes of UTF-8; white space between tokens is not counted. */
export const maxDocumentBytes = 256 * 1024

/** The deepest nesting accepted. */
export const maxDepth = 32

const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Reads a JSON document strictly: both databases store an accepted document without loss.
 *
 * @param source the document's name in messages, as in "--config"
 * @throws BAD_INPUT with the line and column: syntax, size, depth, duplicate or dangerous keys, numbers that JavaScript
 *   cannot hold exactly, characters that PostgreSQL cannot store
 */
export async function parseJson(text: string, source: string): Promise<Json> {
  const { printParseErrorCode, visit } = await import('jsonc-parser')
  const refuse = (line: number, character: number, what: string, hint: string) =>
    badInput(`${source}, line ${line + 1}, column ${character + 1}: ${what}`, hint)
  if (text.startsWith('\uFEFF'))
    throw refuse(0, 0, 'the document has a byte order mark', 'save it as UTF-8 without a byte order mark')

  const root: Json[] = []
  const open: (Json[] | JsonObject)[] = [root]
  const keys: string[] = []
  let key = ''
  let size = 0
  const count = (offset: number, length: number, line: number, character: number) => {
    size += Buffer.byteLength(text.slice(offset, offset + length))
    if (size > maxDocumentBytes) throw refuse(line, character, 'the document exceeds 256 KB', 'shorten it')
  }
  const put = (value: Json) => {
    const parent = open.at(-1)
    if (Array.isArray(parent)) parent.push(value)
    else if (parent) parent[key] = value
  }
  const begin = (container: Json[] | JsonObject, line: number, character: number) => {
    if (open.length > maxDepth)
      throw refuse(line, character, `the document is nested deeper than ${maxDepth} levels`, 'flatten it')
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
          throw refuse(line, character, `the key ${JSON.stringify(property)} is not allowed`, 'rename it')
        if (!isStorable(property))
          throw refuse(line, character, 'a key contains a character that cannot be stored', leaveOut)
        if (Object.hasOwn(open.at(-1) ?? {}, property))
          throw refuse(line, character, `duplicate key ${JSON.stringify(property)}`, 'remove one of the two')
        key = property
      },
      onLiteralValue: (value: Json, offset, length, line, character) => {
        count(offset, length, line, character)
        if (typeof value === 'number' && !survives(text.slice(offset, offset + length), value))
          throw refuse(line, character, 'a number cannot be stored exactly', 'write it as a string, in double quotes')
        if (typeof value === 'string' && !isStorable(value))
          throw refuse(line, character, 'a string contains a character that cannot be stored', leaveOut)
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

const leaveOut = 'remove NUL characters and lone surrogates'
const syntaxHint = 'put keys and strings in double quotes, and no comma after the last item'

/** Whether JavaScript prints a number as the same decimal: PostgreSQL's jsonb refuses or changes others. */
function survives(text: string, value: number): boolean {
  return Number.isFinite(value) && decimal(text) === decimal(String(value))
}

/** A decimal as its digits without surrounding zeros, and its power of ten. */
function decimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  // Not /0+$/, which takes quadratic time on a long run of zeros.
  let end = digits.length
  while (digits[end - 1] === '0') end--
  if (end === 0) return `${sign}0`
  return `${sign}${digits.slice(0, end)}e${Number(exponent) - fraction.length + digits.length - end}`
}

// InvalidSymbol -> "invalid symbol"
const words = (code: string) => code.replace(/(?!^)[A-Z]/g, ' $&').toLowerCase()
