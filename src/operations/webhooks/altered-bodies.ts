import { type Json, jsonOf } from '../../json.ts'
import { decoded, type Unaltered, utf8Of } from './encodings.ts'
import { rewrittenForms } from './forms.ts'
import { rewrittenJson } from './json-layouts.ts'
import { restored } from './lost-characters.ts'

/** Undoes the common alterations by proxies, editors, gateways and frameworks: one, or one inside of another. */
export function* unaltered(body: Uint8Array): Generator<Unaltered> {
  const bytes = Buffer.from(body)
  const outer = [...reframed(bytes), ...decoded(bytes)]
  yield* outer
  yield* rewritten(bytes)
  for (const { how, body } of outer) {
    for (const inner of [...reframed(body), ...decoded(body)])
      yield { how: `${how} and ${inner.how}`, body: inner.body }
    for (const inner of rewritten(body)) yield { how: `${how} and ${inner.how}`, body: inner.body }
  }
  for (const { how, text } of restored(bytes)) yield { how, body: Buffer.from(text) }
  // Last, as each says little of the cause.
  const text = bytes.toString('latin1')
  for (const [how, end] of ends) yield { how, body: Buffer.from(`${text}${end}`, 'latin1') }
  yield { how: 'with a byte order mark', body: Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), bytes]) }
}

const ends = [
  ['with a newline at the end', '\n'],
  ['with CR and LF at the end', '\r\n'],
] as const

/** Undoes what programs put around a body and at the ends of its lines. */
function* reframed(bytes: Buffer): Generator<Unaltered> {
  // One character a byte: the body need not be UTF-8.
  const text = bytes.toString('latin1')
  const again = (how: string, changed: string) => ({ how, body: Buffer.from(changed, 'latin1') })
  if (/\n$/.test(text)) yield again('without the newline at the end', text.replace(/\r?\n$/, ''))
  if (text.includes('\r\n')) yield again('with LF line endings in place of CR and LF', text.replaceAll('\r\n', '\n'))
  if (/(^|[^\r])\n/.test(text))
    yield again('with CR and LF line endings in place of LF', text.replace(/\r?\n/g, '\r\n'))
  if (text.startsWith('\xef\xbb\xbf')) yield again('without the byte order mark', text.slice(3))
  if (text !== text.trim()) yield again('without surrounding white space', text.trim())
  const chunks = unchunked(text)
  if (chunks !== undefined) yield again('without HTTP chunk framing', chunks)
}

/** Undoes that a program parsed a body and wrote it again. */
function* rewritten(bytes: Buffer): Generator<Unaltered> {
  const text = utf8Of(bytes)
  if (text === undefined) return
  const json = jsonOf(text)
  yield* ofTexts(rewrittenForms(text, json))
  if (json === undefined) return
  try {
    yield* ofTexts(rewrittenJson(text, json as Json))
  } catch (error) {
    // JSON.parse accepts deeper nesting than JSON.stringify.
    if (!(error instanceof RangeError)) throw error
  }
}

function* ofTexts(found: Iterable<{ readonly how: string; readonly text: string }>): Generator<Unaltered> {
  for (const { how, text } of found) yield { how, body: Buffer.from(text) }
}

/** The data of a chunked body (RFC 9112, 7.1); undefined for another body. */
function unchunked(text: string): string | undefined {
  let data = ''
  for (let at = 0; ; ) {
    const [head, size] = /^([0-9a-f]{1,8})[^\r\n]*\r?\n/i.exec(text.slice(at, at + 100)) ?? []
    if (head === undefined || size === undefined) return undefined
    const length = Number.parseInt(size, 16)
    if (length === 0) return data
    data += text.slice(at + head.length, at + head.length + length)
    const [, gap] = /^(\r?\n)/.exec(text.slice(at + head.length + length)) ?? []
    if (gap === undefined) return undefined
    at += head.length + length + gap.length
  }
}
