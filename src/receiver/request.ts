/** Requests, as servers hand them on. @module */
import { badInput } from '../errors.ts'
import { readUpTo } from '../streams.ts'

/** A request: the web's `Request`, or the part of it that a receiver needs. */
export interface IncomingRequest {
  readonly headers: { get(name: string): string | null }
  /** The body as it arrives, or as a whole; null for none. */
  readonly body: WebStream | AsyncIterable<Uint8Array> | Uint8Array | null
}

/** The web's `ReadableStream`, described here because an application may have its types from a browser, Node, or nowhere. */
interface WebStream {
  getReader(): { read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> }
}

/** Headers as Node's `http` has them, and every framework that builds on it. */
export interface NodeHeaders {
  readonly [name: string]: string | readonly string[] | undefined
}

/**
 * Makes a request of one of Node's `http`, or of a framework that keeps the raw body: Express with
 * `express.raw({ type: '*\u002f*' })`, Fastify with a parser for buffers. The signature covers the bytes that came: a body
 * that was parsed and written again does not match it.
 *
 * @param body the bytes of the body, where they were read already; by default the request itself is read
 * @throws BAD_INPUT for a body that was parsed
 * @example
 * createServer(async (request, response) => {
 *   const { status, body } = await receiver.slack(fromNode(request))
 *   response.writeHead(status).end(body)
 * })
 */
export function fromNode(
  request: { readonly headers: NodeHeaders } & Partial<AsyncIterable<Uint8Array>>,
  body?: Uint8Array | string,
): IncomingRequest {
  const headers = {
    get: (name: string) => {
      const value = request.headers[name.toLowerCase()]
      // As the web joins headers: a signature that came twice matches neither.
      return typeof value === 'string' ? value : value === undefined ? null : value.join(', ')
    },
  }
  return { headers, body: bytesOf(body) ?? (request as AsyncIterable<Uint8Array>) }
}

/** The bytes of a body that was read already; undefined when it was not. */
function bytesOf(body: unknown): Uint8Array | undefined {
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if (body instanceof Uint8Array) return body
  // For a request without a body, or without a type, Express 4 leaves an empty object, and Fastify 3 null.
  if (Object.keys(body ?? {}).length === 0) return undefined
  throw badInput(
    'the body of the request was parsed, but the signature covers the raw bytes',
    'configure the framework to keep the raw body, as docs/receiving-webhooks.md shows',
  )
}

/** Reads the body of a request; undefined when it is larger than `maxBytes`. */
export async function readBody(request: IncomingRequest, maxBytes: number): Promise<Uint8Array | undefined> {
  if (Number(request.headers.get('content-length')) > maxBytes) return undefined
  if (request.body instanceof Uint8Array) return request.body.length > maxBytes ? undefined : request.body
  // Node's web streams can be iterated, whatever the types of other environments say.
  return readUpTo((request.body ?? []) as AsyncIterable<Uint8Array>, maxBytes)
}
