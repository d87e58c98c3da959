import { badInput } from '../../errors.ts'

/** A captured request. */
export interface CapturedRequest {
  /** In the order of the request, with repetitions. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Uint8Array
}

const hint = 'save the raw request: POST /path HTTP/1.1, the headers, an empty line, and the bytes of the body'

/**
 * Reads an HTTP/1.1 request from its bytes (RFC 9112): start line, headers, an empty line, and everything after it is
 * the body. Lines of the head end with CRLF or LF.
 *
 * @throws BAD_INPUT
 */
export function parseRequest(bytes: Buffer): CapturedRequest {
  // Latin-1 has one character per byte, so offsets are byte offsets.
  const text = bytes.toString('latin1')
  const end = /\r?\n\r?\n/.exec(text)
  const [start = '', ...lines] = text.slice(0, end?.index).split(/\r?\n/)
  if (!/^[A-Z]+ \S+ HTTP\/\d(\.\d)?$/.test(start)) throw badInput('the first line is not an HTTP request line', hint)
  return {
    headers: lines.filter((line, i) => line !== '' || i < lines.length - 1).map(parseHeader),
    body: end ? bytes.subarray(end.index + end[0].length) : Buffer.alloc(0),
  }
}

/** Reads a header, as in `Name: value`. @throws BAD_INPUT without the header, which may be a credential */
export function parseHeader(line: string): readonly [name: string, value: string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
  if (name === undefined || value === undefined)
    throw badInput('a header is not of the form Name: value', 'write each header as Name: value, on a line of its own')
  return [name.toLowerCase(), value]
}

/** Headers as the web's `Headers` gives them, which joins repeated ones. */
export const headersOf = ({ headers }: CapturedRequest) => ({
  get(name: string): string | null {
    const values = headers.flatMap(([one, value]) => (one === name.toLowerCase() ? [value] : []))
    return values.length === 0 ? null : values.join(', ')
  },
})
