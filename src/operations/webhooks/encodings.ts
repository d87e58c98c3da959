import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { isObject, type Json, jsonOf } from '../../json.ts'

/** A body with an alteration undone. */
export interface Unaltered {
  /** Completes "the body …". */
  readonly how: string
  readonly body: Buffer
}

/** How many bytes a compressed body may have. */
const maxInflatedBytes = 32 * 1_048_576

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
// TextDecoder of Node 20 takes windows-1252 for Latin-1. https://encoding.spec.whatwg.org/#windows-1252
const windowsCharacters = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ'
const windowsBytes = new Map([...windowsCharacters].map((character, i) => [character, 0x80 + i]))

const ofWindows = (bytes: Buffer) =>
  bytes.toString('latin1').replace(/[\x80-\x9f]/g, (one) => windowsCharacters[one.charCodeAt(0) - 0x80] ?? '')

/** The bytes of a text in Windows-1252; undefined for a text that has other characters. */
function toWindows(text: string): Buffer | undefined {
  const bytes = Array.from(text, (one) => windowsBytes.get(one) ?? one.charCodeAt(0))
  return bytes.every((byte) => byte <= 0xff) ? Buffer.from(bytes) : undefined
}

/** The text of bytes that are UTF-8; undefined for others. */
export function utf8Of(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** Undoes other encodings of a body: those of gateways and queues, and character sets that a program took for others. */
export function* decoded(body: Buffer): Generator<Unaltered> {
  yield* recoded(body)
  const text = utf8Of(body)
  for (const [how, inflate] of [
    ['decompressed with gzip', gunzipSync],
    ['decompressed with deflate', inflateSync],
    ['decompressed with brotli', brotliDecompressSync],
  ] as const) {
    // What is text is not compressed.
    const inflated = text === undefined ? inflatedBy(inflate, body) : undefined
    if (inflated) yield { how, body: inflated }
  }
  if (text === undefined) return
  const plain = ofBase64(text)
  if (plain) yield { how: 'decoded from Base64', body: plain }
  if (/&(quot|amp|lt|gt|#3[49]);/.test(text))
    yield { how: 'with HTML entities decoded', body: Buffer.from(unentitied(text)) }
  for (const form of ['NFC', 'NFD'] as const)
    if (text.normalize(form) !== text)
      yield { how: `with its letters in the form ${form} of Unicode`, body: Buffer.from(text.normalize(form)) }
  const json = jsonOf(text)
  if (json !== undefined) yield* contained(json)
}

/** Undoes character sets. */
function* recoded(body: Buffer): Generator<Unaltered> {
  const text = utf8Of(body)
  if (body.includes(0))
    for (const charset of ['utf-16le', 'utf-16be'])
      yield {
        how: `as UTF-8, in place of ${charset.toUpperCase()}`,
        body: Buffer.from(new TextDecoder(charset).decode(body)),
      }
  if (text === undefined) {
    yield { how: 'as UTF-8, in place of Latin-1', body: Buffer.from(body.toString('latin1')) }
    yield { how: 'as UTF-8, in place of Windows-1252', body: Buffer.from(ofWindows(body)) }
    return
  }
  if (!/[\x80-\uffff]/.test(text)) return
  const twice = 'before a program read UTF-8 as'
  if (!/[\u0100-\uffff]/.test(text))
    yield { how: `${twice} Latin-1 and wrote UTF-8 again`, body: Buffer.from(text, 'latin1') }
  const bytes = toWindows(text)
  if (bytes) yield { how: `${twice} Windows-1252 and wrote UTF-8 again`, body: bytes }
}

function inflatedBy(inflate: typeof gunzipSync, body: Buffer): Buffer | undefined {
  try {
    return inflate(body, { maxOutputLength: maxInflatedBytes })
  } catch {
    return undefined
  }
}

/** The bytes of a Base64 text, in either alphabet; undefined for another text. */
function ofBase64(text: string): Buffer | undefined {
  const digits = text.replace(/\s/g, '')
  return /^[\w+/-]{4,}={0,2}$/.test(digits) ? Buffer.from(digits, 'base64') : undefined
}

const entities: { readonly [entity: string]: string } = {
  quot: '"',
  amp: '&',
  lt: '<',
  gt: '>',
  '#34': '"',
  '#39': "'",
}
const unentitied = (text: string) => text.replace(/&(quot|amp|lt|gt|#34|#39);/g, (_, entity) => entities[entity] ?? '')

/** Bodies inside of a JSON document, such as the event of a gateway or a queue. */
function* contained(json: Json): Generator<Unaltered> {
  if (typeof json === 'string') yield* texts('as the text that the JSON holds', json)
  if (!isObject(json)) return
  if (json.type === 'Buffer' && Array.isArray(json.data) && json.data.every((one) => typeof one === 'number'))
    yield { how: 'as the bytes that the JSON of a Buffer lists', body: Buffer.from(json.data) }
  for (const [key, value] of Object.entries(json)) {
    // The name of a field may be anything.
    const field = /^\w{1,40}$/.test(key) ? `the field ${key}` : 'a field'
    if (typeof value === 'string') yield* texts(`as ${field} of the JSON`, value)
  }
}

function* texts(how: string, text: string): Generator<Unaltered> {
  yield { how, body: Buffer.from(text) }
  const plain = ofBase64(text)
  if (plain) yield { how: `${how}, decoded from Base64`, body: plain }
}
