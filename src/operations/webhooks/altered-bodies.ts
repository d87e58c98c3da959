import { jsonOf } from '../../json.ts'

/** A body with an alteration undone. */
export interface Unaltered {
  /** Completes "the body …". */
  readonly how: string
  readonly body: Buffer
}

/** Undoes the common alterations by proxies, editors and frameworks, one at a time. */
export function* unaltered(body: Uint8Array): Generator<Unaltered> {
  const bytes = Buffer.from(body)
  // One character a byte: the body need not be UTF-8.
  const text = bytes.toString('latin1')
  const again = (how: string, changed: string) => ({ how, body: Buffer.from(changed, 'latin1') })
  if (/\n$/.test(text)) yield again('without the newline at the end', text.replace(/\r?\n$/, ''))
  yield again('with a newline at the end', `${text}\n`)
  yield again('with CR and LF at the end', `${text}\r\n`)
  if (text.includes('\r\n')) yield again('with LF line endings in place of CR and LF', text.replaceAll('\r\n', '\n'))
  if (/(^|[^\r])\n/.test(text))
    yield again('with CR and LF line endings in place of LF', text.replace(/\r?\n/g, '\r\n'))
  if (text.startsWith('\xef\xbb\xbf')) yield again('without the byte order mark', text.slice(3))
  if (text !== text.trim()) yield again('without surrounding white space', text.trim())
  const chunks = unchunked(text)
  if (chunks !== undefined) yield again('without HTTP chunk framing', chunks)
  const json = jsonOf(bytes.toString().replace(/^\ufeff/, ''))
  if (typeof json === 'object' && json !== null) {
    try {
      yield* rewritten(json)
    } catch (error) {
      // JSON.parse accepts deeper nesting than JSON.stringify.
      if (!(error instanceof RangeError)) throw error
    }
  }
  if (json === undefined && /^[^\s=&]+=[^\s]*\s*$/.test(text))
    yield again('as a re-encoded form', new URLSearchParams(text.trim()).toString())
}

/** A value as common JSON serializers write it. */
function* rewritten(json: object): Generator<Unaltered> {
  const layouts = [
    ['without spaces', JSON.stringify(json)],
    ['with a space after each comma and colon', spaced(json)],
    ['indented by 2', JSON.stringify(json, null, 2)],
    ['indented by 4', JSON.stringify(json, null, 4)],
  ] as const
  const slashes = (text: string) => text.replaceAll('/', '\\/')
  const ascii = (text: string) =>
    text.replace(/[\x7f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const escapes = [
    ['', (text: string) => text],
    [', with \\/ for every slash', slashes],
    [', with \\u for what is not ASCII', ascii],
    [', with \\/ for every slash and \\u for what is not ASCII', (text: string) => ascii(slashes(text))],
  ] as const
  for (const [layout, text] of layouts)
    for (const [also, written] of escapes)
      yield { how: `as JSON serialized ${layout}${also}`, body: Buffer.from(written(text)) }
}

/** JSON as Python writes it. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)}: ${spaced(one)}`)
    .join(', ')}}`
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
