import { describe, expect, test } from 'vitest'
import { maxDepth, maxDocumentBytes, parseJson } from '../../../src/operations/config/json.ts'

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const sized = (bytes: number) => `"${'a'.repeat(bytes - 2)}"`

describe('a document is accepted', () => {
  test.each<[what: string, text: string, value: unknown]>([
    ['a fraction of zeros', '1.0', 1],
    ['an exponent', '1e2', 100],
    ['an exponent with a sign', '1E+2', 100],
    ['a fraction', '0.1', 0.1],
    ['zeros after it', '0.1000', 0.1],
    ['zero', '0', 0],
    ['zero with an exponent', '0e99999999999999999999', 0],
    ['the largest safe integer', '9007199254740991', 9007199254740991],
    ['a large integer that a double holds', '9007199254740994', 9007199254740994],
    ['as a double prints it', '1e+21', 1e21],
    ['the largest double', '1.7976931348623157e308', Number.MAX_VALUE],
    ['the smallest double', '5e-324', Number.MIN_VALUE],
    ['the deepest nesting', nested(maxDepth), JSON.parse(nested(maxDepth))],
    ['the largest', sized(maxDocumentBytes), 'a'.repeat(maxDocumentBytes - 2)],
    ['white space, which does not count', `${' '.repeat(maxDocumentBytes)}null\r\n`, null],
    ['the same key in two objects', '[{"a":1},{"a":{"a":2}}]', [{ a: 1 }, { a: { a: 2 } }]],
    ['the same key again after an inner object', '{"a":{"b":1},"b":2}', { a: { b: 1 }, b: 2 }],
    ['a name of every object', '{"toString":1,"hasOwnProperty":2}', { toString: 1, hasOwnProperty: 2 }],
    ['an empty key', '{"":1}', { '': 1 }],
    ['a pair of surrogates', '"\\ud83d\\ude00"', '😀'],
    ['control characters that are escaped', '"\\u0001\\n"', '\u0001\n'],
  ])('%s', async (_what, text, value) => {
    expect(await parseJson(text, 'it')).toEqual(value)
  })
})

describe('a document is refused with the place', () => {
  const number = 'a number cannot be stored exactly'
  test.each<[what: string, text: string, line: number, column: number, why: string]>([
    ['an integer that no double holds', '9007199254740993', 1, 1, number],
    ['more digits than a double has', '[1, 0.10000000000000000001]', 1, 5, number],
    ['a number too large', '{"a":\n  1e400}', 2, 3, number],
    ['a number too small', '1e-400', 1, 1, number],
    ['minus zero, whose sign is lost', '-0', 1, 1, number],
    ['a long row of zeros', `0.${'0'.repeat(200_000)}1`, 1, 1, number],
    ['nesting', nested(maxDepth + 1), 1, 33, 'the document is nested deeper than 32 levels'],
    ['deep nesting', nested(100_000), 1, 33, 'the document is nested deeper than 32 levels'],
    ['deep nesting of objects', '{"a":'.repeat(100_000), 1, 161, 'the document is nested deeper than 32 levels'],
    ['size', sized(maxDocumentBytes + 1), 1, 1, 'the document exceeds 256 KB'],
    ['size in bytes', `"${'é'.repeat(maxDocumentBytes / 2)}"`, 1, 1, 'the document exceeds 256 KB'],
    [
      'size, by many small parts',
      `[\n${'0,\n'.repeat(maxDocumentBytes / 2)}0]`,
      131073,
      2,
      'the document exceeds 256 KB',
    ],
    ['a key twice', '{"a":1,\n "a":2}', 2, 2, 'duplicate key "a"'],
    ['a key twice through an escape', '{"a":1,"\\u0061":2}', 1, 8, 'duplicate key "a"'],
    ['a name of every object twice', '{"toString":1,"toString":2}', 1, 15, 'duplicate key "toString"'],
    ['__proto__', '{"a":{"__proto__":{}}}', 1, 7, 'the key "__proto__" is not allowed'],
    ['__proto__ through an escape', '{"__pr\\u006fto__":{}}', 1, 2, 'the key "__proto__" is not allowed'],
    ['constructor', '{"constructor":1}', 1, 2, 'the key "constructor" is not allowed'],
    ['prototype', '{"prototype":1}', 1, 2, 'the key "prototype" is not allowed'],
    ['NUL', '["\\u0000"]', 1, 2, 'a string contains a character that cannot be stored'],
    ['NUL in a key', '{"\\u0000":1}', 1, 2, 'a key contains a character that cannot be stored'],
    ['a lone surrogate', '["\\ud83d"]', 1, 2, 'a string contains a character that cannot be stored'],
    [
      'surrogates the wrong way round',
      '["\\ude00\\ud83d"]',
      1,
      2,
      'a string contains a character that cannot be stored',
    ],
    ['nothing', '', 1, 1, 'value expected'],
    ['white space alone', ' \n', 2, 1, 'value expected'],
    ['a byte order mark', '\uFEFF{}', 1, 1, 'the document has a byte order mark'],
    ['a comma after the last item', '[1,]', 1, 4, 'value expected'],
    ['a comma after the last key', '{"a":1,}', 1, 8, 'property name expected'],
    ['a comment', '{} // so', 1, 4, 'invalid comment token'],
    ['a comment within', '[1, /* so */ 2]', 1, 5, 'invalid comment token'],
    ['single quotes', "{'a':1}", 1, 2, 'invalid symbol'],
    ['a word', 'triage', 1, 1, 'invalid symbol'],
    ['NaN', 'NaN', 1, 1, 'invalid symbol'],
    ['a zero before it', '01', 1, 2, 'end of file expected'],
    ['a plus before it', '+1', 1, 1, 'invalid symbol'],
    ['two values', '{} {}', 1, 4, 'end of file expected'],
    ['an open string', '["a', 1, 2, 'unexpected end of string'],
    ['a tab in a string', '["\t"]', 1, 2, 'invalid character'],
    ['a line break in a string', '["\n"]', 1, 2, 'unexpected end of string'],
    ['an unknown escape', '["\\x41"]', 1, 2, 'invalid escape character'],
    ['another kind of space', '[\u00a01]', 1, 2, 'invalid symbol'],
  ])('%s', async (_what, text, line, column, why) => {
    await expect(parseJson(text, 'it')).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: `it, line ${line}, column ${column}: ${why}`,
      hint: expect.stringMatching(/./),
    })
  })
})
