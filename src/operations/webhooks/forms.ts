import { isObject, type Json } from '../../json.ts'
import type { Rewritten } from './json-layouts.ts'

const strict = (text: string) => text.replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
const percent = (text: string) => encodeURIComponent(text)
const lowerHex = (text: string) => text.replace(/%[0-9A-F]{2}/g, (one) => one.toLowerCase())
const plus = (text: string) => text.replaceAll('%20', '+')

/** Texts of a form as common programs encode them. */
const encoders: readonly ((text: string) => string)[] = [
  (text) => new URLSearchParams({ '': text }).toString().slice(1),
  percent,
  (text) => plus(percent(text)),
  (text) => strict(percent(text)),
  (text) => plus(strict(percent(text))),
  // Java and PHP write the tilde as an escape.
  (text) =>
    plus(strict(percent(text)))
      .replaceAll('~', '%7E')
      .replaceAll('%2A', '*'),
  (text) => plus(strict(percent(text))).replaceAll('~', '%7E'),
]

/** A form as common programs encode it again, and a body that was a form before a program parsed it. */
export function* rewrittenForms(text: string, json: Json | undefined): Generator<Rewritten> {
  const isForm = json === undefined && /^[^\s=&]+=/.test(text)
  if (isForm) {
    yield* encoded('as a re-encoded form', [...new URLSearchParams(text.trim())])
    // A payload whose escapes were decoded may hold & and =.
    const [name = '', value = ''] = text.split(/=(.*)/s)
    yield* encoded('as a form, in place of the decoded text', [[name, value]])
  }
  if (!isObject(json)) return
  const entries = Object.entries(json).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  if (entries.length > 0 && entries.length === Object.keys(json).length)
    yield* encoded('as a form, in place of JSON', entries)
  // The one field of interactions and of GitHub's forms.
  yield* encoded('as the field payload of a form', [['payload', text]])
}

function* encoded(how: string, fields: readonly (readonly [string, string])[]): Generator<Rewritten> {
  for (const encode of encoders)
    for (const cased of [(text: string) => text, lowerHex])
      yield { how, text: fields.map(([name, value]) => `${cased(encode(name))}=${cased(encode(value))}`).join('&') }
}
