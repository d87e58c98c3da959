import { badInput } from '../errors.ts'

/** A request as the web's `Request` gives it, or as much of one as is needed. */
export interface IncomingRequest {
  readonly headers: { get(name: string): string | null }
  /** The body as it arrives, or whole; null for none. */
  readonly body: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Uint8Array | null
}

/** Headers as Node's `http` has them, and every framework on top of it. */
export interface NodeHeaders {
  readonly [name: string]: string | readonly string[] | undefined
}

/**
 * A request of Node's `http`, or of a framework whose raw body was kept: Express with `express.raw({ type: '*\u002f*' })`,
 * Fastify with a parser for buffers. The signature covers the bytes that came: a body that was parsed and written again
 * does not match it.
 *
 * @param body the bytes of the body, where something has read them already; else the request itself is read
 * @throws BAD_INPUT for a body that was parsed
 */
export function fromNode(
  request: { readonly headers: NodeHeaders } & Partial<AsyncIterable<Uint8Array>>,
  body?: Uint8Array | string,
): IncomingRequest {
  const headers = {
    get: (name: string) => {
      const value = request.headers[name.toLowerCase()]
      // As the web does it: one that came twice is none of either.
      return typeof value === 'string' ? value : value === undefined ? null : value.join(', ')
    },
  }
  return { headers, body: bytesOf(body) ?? (request as AsyncIterable<Uint8Array>) }
}

/** What something has read of a body; undefined when it has read nothing. */
function bytesOf(body: unknown): Uint8Array | undefined {
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if (body instanceof Uint8Array) return body
  // For a request without a body, or without a type, Express 4 leaves an empty object, and Fastify 3 null.
  if (Object.keys(body ?? {}).length === 0) return undefined
  throw badInput(
    'the body of the request was parsed, and the signature covers the bytes that came',
    'have the framework keep the raw body: docs/receiving-webhooks.md says how',
  )
}

/** The bytes of a request's body; undefined when there are more than `most`. */
export async function readBody(request: IncomingRequest, most: number): Promise<Uint8Array | undefined> {
  if (Number(request.headers.get('content-length')) > most) return undefined
  if (request.body instanceof Uint8Array) return request.body.length > most ? undefined : request.body
  const chunks: Uint8Array[] = []
  let length = 0
  // Node's streams of the web can be iterated, whatever other environments' types say.
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > most) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
