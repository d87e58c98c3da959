import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sortKeys } from '../../src/json.ts'
import { parseJson } from '../../src/operations/config/json.ts'

/** What became of a text: its value, or that it was refused with a place. */
const outcome = (text: string) =>
  parseJson(text, 'it').then(
    (value) => ({ value }),
    (error) => {
      expect(error).toMatchObject({ code: 'BAD_INPUT', message: expect.stringMatching(/^it, line \d+, column \d+: ./) })
      return { refused: true }
    },
  )

test('any JSON value is refused with the place or comes back equal', async () => {
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(
      fc.jsonValue({ depthSize: 'medium', noUnicodeString: false }),
      fc.constantFrom(0, 2),
      async (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const result = await outcome(text)
        if (!('value' in result)) return
        accepted++
        expect(JSON.stringify(result.value)).toBe(JSON.stringify(JSON.parse(text)))
        // And again from what would be stored.
        expect(await parseJson(JSON.stringify(sortKeys(result.value)), 'it')).toEqual(result.value)
      },
    ),
    { numRuns: 2000 },
  )
  expect(accepted).toBeGreaterThan(1500)
})

test('what is not JSON is never accepted', async () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '1',
    '-',
    '0',
    '.',
    'e5',
    'true',
    'nul',
    'l',
    ' ',
    '\n',
    '\\',
    '/*',
    '*/',
    '//',
    '\uFEFF',
    '\u2028',
  ]
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), async (parts) => {
      const text = parts.join('')
      const result = await outcome(text)
      if ('value' in result) expect(result.value).toEqual(JSON.parse(text))
    }),
    { numRuns: 5000 },
  )
})
