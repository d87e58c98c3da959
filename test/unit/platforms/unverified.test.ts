import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import { type Json, objectOf } from '../../../src/json.ts'
import { slack } from '../../../src/platforms/slack.ts'
import { formField, textsAt } from '../../../src/platforms/unverified.ts'

const paths = ['a', 'b.a', 'b.b.a', 'list.0.a', 'list.1']
const texts = textsAt(paths)

/** What a path leads to in a document that was parsed. */
function at(value: Json | undefined, [step, ...steps]: string[]): Json | undefined {
  if (step === undefined) return value
  return Array.isArray(value) ? at(value[Number(step)], steps) : at(objectOf(value)?.[step], steps)
}

const name = fc.constantFrom('a', 'b', 'list', 'other', 'z"{')
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\\', '"', '\\"', '{"a":"x"}', '],[', '":', ''))
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    text,
    fc.constantFrom(null, true, -1.5e3),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4 }),
  ),
}))

test('the texts that are found without parsing are those that parsing finds', () => {
  fc.assert(
    fc.property(fc.dictionary(name, value), fc.constantFrom(undefined, 1), (document, space) => {
      const json = JSON.stringify(document, null, space)
      // As it is read: JSON has no lone surrogates in UTF-8.
      const parsed = JSON.parse(Buffer.from(json).toString())
      const expected = paths.flatMap((path) => {
        const text = at(parsed, path.split('.'))
        return typeof text === 'string' ? [[path, text]] : []
      })
      expect([...texts(Buffer.from(json))].toSorted()).toEqual(expected.toSorted())
    }),
    { numRuns: 500 },
  )
})

test('what is not JSON, or ends too early, is passed over', () => {
  const whole = '{"b":{"a":"1"},"list":[{"a":"2"}],"a":"3"}'
  for (let length = 0; length < whole.length; length++) {
    const found = texts(Buffer.from(whole.slice(0, length)))
    for (const text of found.values()) expect(['', '1', '2', '3']).toContain(text)
  }
  expect([...texts(Buffer.from(']]}"a":"x"{"a":"\\'))]).toEqual([])
  expect([...texts(Buffer.from('[{"a":"x"}]'))]).toEqual([])
})

test('the last field of a name counts, in a form', () => {
  const form = 'a=1&team=x+y&ateam=2&team=%C3%BC%26z&b=3'
  expect([formField(form, 'team'), formField(form, 'a'), formField(form, 'b'), formField(form, 'tea')]).toEqual([
    'ü&z',
    '1',
    '3',
    undefined,
  ])
})

afterEach(() => vi.restoreAllMocks())

test('of a large body of a stranger, the ids alone become values', () => {
  const fill = Array.from({ length: 50_000 }, (_, i) => `"${i.toString(36)}":{}`).join()
  const event = `{"event":{${fill}},"team_id":"T1","authorizations":[{"enterprise_id":"E1","team_id":"T2"}]}`
  const many = Array.from({ length: 50_000 }, (_, i) => i.toString(36)).join('=&')
  const json = { 'content-type': 'application/json' }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const lengths: number[] = []
  const parse = JSON.parse
  vi.spyOn(JSON, 'parse').mockImplementation((text, reviver) => {
    lengths.push(text.length)
    return parse(text, reviver)
  })
  const fields = vi.spyOn(Object, 'fromEntries')
  const claimed = (body: string, headers: Record<string, string>) =>
    slack.webhooks.tenant.claims({ headers: new Headers(headers), body: Buffer.from(body) }).ids
  expect([
    claimed(event, json),
    claimed(`${many}&team_id=T3&enterprise_id=`, form),
    claimed(`${many}&payload=${encodeURIComponent('{"team":{"id":"T4"},"enterprise":null}')}`, form),
  ]).toEqual([['T2', 'E1', 'T1'], ['T3'], ['T4']])
  expect([Math.max(...lengths) < 10, fields.mock.calls.length]).toEqual([true, 0])
})
