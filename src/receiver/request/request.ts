/** Requests, as servers hand them on. @module */
import { badInput } from '../../errors.ts'
import type { WebhookRequest } from '../../platforms/platform.ts'
import { Body, BodyBlocks } from './body.ts'
import type { BodyPlace } from './body-budget.ts'

/** A request: the web's `Request`, or the part of it that a receiver needs. */
export interface IncomingRequest {
  readonly headers: { get(name: string): string | null }
  /** The body as it arrives, or as a whole; null for none. */
  readonly body: WebStream | AsyncIterable<Uint8Array> | Bytes | null
  /** Whether the body was read already, so that it cannot be checked. */
  readonly bodyUsed?: boolean
}

/** The bytes of a body, or its text. */
type Bytes = Uint8Array | ArrayBuffer | string

/** The web's `ReadableStream`, described here because an application may have its types from a browser, Node, or nowhere. */
interface WebStream {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
    cancel?(): Promise<unknown>
  }
  readonly locked?: boolean
}

/** Headers as Node's `http` has them, and every framework that builds on it; some write numbers, or names in any case. */
export interface NodeHeaders {
  readonly [name: string]: string | number | readonly (string | number)[] | null | undefined
}

/**
 * Makes a request of one of Node's `http`, as Express, Fastify (`request.raw`) and Koa (`context.req`) have it, or of the
 * headers and the body of a serverless function. The signature covers the bytes that came: a body that was parsed and
 * written again does not match it.
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
  request: { readonly headers: NodeHeaders | IncomingRequest['headers'] } & Partial<AsyncIterable<Uint8Array>>,
  body?: Bytes,
): IncomingRequest {
  const headers = hasGet(request.headers) ? inAnyCase(request.headers) : new JoinedHeaders(request.headers)
  if (!isParsed(body)) return { headers, body }
  const { readableDidRead, readableAborted } = request as Partial<NodeStream>
  return {
    headers,
    body: Symbol.asyncIterator in request ? (request as AsyncIterable<Uint8Array>) : null,
    // Of a sender that breaks off, something may have been read too.
    bodyUsed: readableDidRead === true && readableAborted !== true,
  }
}

/** What Node's streams have besides. */
interface NodeStream {
  readonly readableDidRead: boolean
  readonly readableAborted: boolean
  iterator(options: { readonly destroyOnReturn: boolean }): AsyncIterator<Uint8Array>
  resume(): unknown
}

const isNodeStream = (body: AsyncIterable<Uint8Array>): body is AsyncIterable<Uint8Array> & NodeStream =>
  'iterator' in body && typeof body.iterator === 'function' && 'resume' in body && typeof body.resume === 'function'

/** Gives a header by its name, as the web joins headers: a signature that came twice matches neither. */
class JoinedHeaders {
  readonly #values = new Map<string, string>()

  constructor(headers: NodeHeaders) {
    for (const [key, value] of pairsOf(headers)) {
      const name = String(key).toLowerCase()
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one === null || one === undefined) continue
        const before = this.#values.get(name)
        this.#values.set(name, before === undefined ? String(one) : `${before}, ${one}`)
      }
    }
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null
  }
}

const inAnyCase = (headers: IncomingRequest['headers']) => ({ get: (name: string) => headers.get(name) ?? null })

/** Whether headers are looked up in any case. A map knows them in one. */
const hasGet = (headers: object): headers is IncomingRequest['headers'] =>
  'get' in headers && typeof headers.get === 'function' && !(headers instanceof Map)

/** Headers of a map, of pairs, or of Node's `rawHeaders`, in which names and values take turns. */
function pairsOf(headers: object): (readonly [name: unknown, value: unknown])[] {
  if (!(Symbol.iterator in headers)) return Object.entries(headers)
  const all = [...(headers as Iterable<unknown>)]
  if (typeof all[0] === 'string') return all.flatMap((name, i) => (i % 2 === 0 ? [[name, all[i + 1]] as const] : []))
  return all.flatMap((pair) => (Array.isArray(pair) ? [[pair[0], pair[1]] as const] : []))
}

/** Whether a body is not the bytes that came. For a request without a body, or without a type, Express 4 leaves an empty object, and Fastify 3 null. */
function isParsed(body: unknown): body is undefined {
  if (isBytes(body)) return false
  if (body === null || body === undefined || isEmptyObject(body)) return true
  throw badInput(
    'the body of the request was parsed, but the signature covers the raw bytes',
    'put the route before the parser, as docs/frameworks.md shows, or have the parser keep the bytes',
  )
}

/** Not a form, a map or a blob, which may hold something without a key of their own. */
const isEmptyObject = (body: unknown) =>
  Object.prototype.toString.call(body) === '[object Object]' && Object.keys(body as object).length === 0

/** Whether a body is here as a whole. */
export const isBytes = (body: unknown): body is Bytes =>
  typeof body === 'string' ||
  ArrayBuffer.isView(body) ||
  Object.prototype.toString.call(body) === '[object ArrayBuffer]'

/** A request that was handed on as it came, without `fromNode`. A body that was parsed counts as used. */
export function normalized(request: IncomingRequest): IncomingRequest {
  const { headers } = request
  if (headers instanceof JoinedHeaders) return request
  if (hasGet(headers))
    return Object.prototype.toString.call(headers) === '[object Headers]'
      ? request
      : { ...fromNode({ headers }), body: request.body, bodyUsed: request.bodyUsed === true }
  if (isStream(request.body)) return { ...fromNode({ headers }), body: request.body }
  try {
    return fromNode(request, request.body as Bytes)
  } catch {
    return { ...fromNode({ headers }), bodyUsed: true }
  }
}

/** A request whose body was read. The body is one piece only where it is asked for. */
export class ReadRequest implements WebhookRequest {
  readonly headers: IncomingRequest['headers']
  readonly #body: Body

  constructor({ headers }: IncomingRequest, body: Body) {
    this.headers = headers
    this.#body = body
  }

  get body(): Uint8Array {
    return this.#body.bytes
  }
}

/** What became of a body: `consumed` before it came here, `displaced` by others, or `broken` off by its sender. */
export type ReadBody =
  | { readonly kind: 'whole'; readonly body: Body }
  | { readonly kind: 'too_large' | 'consumed' | 'displaced' | 'broken' }

/** Reads the body of a request, counting its bytes as they come. @returns at once what is here already */
export function readBody(request: IncomingRequest, maxBytes: number, place: BodyPlace): ReadBody | Promise<ReadBody> {
  const { body } = request
  if (request.bodyUsed || (isStream(body) && body.locked)) return { kind: 'consumed' }
  if (Number(request.headers.get('content-length')) > maxBytes) return { kind: 'too_large' }
  if (isBytes(body)) {
    const bytes = bytesOf(body)
    if (bytes.length > maxBytes) return { kind: 'too_large' }
    return place.take(bytes.length) ? { kind: 'whole', body: new Body([bytes]) } : { kind: 'displaced' }
  }
  if (body === null || body === undefined) return { kind: 'whole', body: new Body([]) }
  if (typeof body !== 'object' || !(isStream(body) || Symbol.asyncIterator in body)) return { kind: 'consumed' }
  return readStream(body, maxBytes, place)
}

async function readStream(
  body: WebStream | AsyncIterable<Uint8Array>,
  maxBytes: number,
  place: BodyPlace,
): Promise<ReadBody> {
  const chunks = chunksOf(body)
  try {
    return await readChunks(chunks, maxBytes, place)
  } catch {
    return { kind: 'broken' }
  } finally {
    // Not waited for: Node's streams close with the next chunk, which may never come.
    void chunks.stop().catch(() => {})
  }
}

/** The chunks of a body as they come, and a way to end that. */
interface Chunks {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: Uint8Array | string | undefined }>
  stop(): Promise<unknown>
}

async function readChunks(chunks: Chunks, maxBytes: number, place: BodyPlace): Promise<ReadBody> {
  const blocks = new BodyBlocks(place)
  let isDisplaced = false
  let wake = () => {}
  place.onDisplaced(() => {
    isDisplaced = true
    wake()
  })
  for (let length = 0; ; ) {
    // No `Promise.race`, which would hold something for each chunk of a body that comes byte by byte.
    const next = await new Promise<Awaited<ReturnType<Chunks['next']>> | undefined>((resolve, reject) => {
      wake = () => resolve(undefined)
      chunks.next().then(resolve, reject)
    })
    if (isDisplaced || !next) return { kind: 'displaced' }
    if (next.done) return { kind: 'whole', body: blocks.whole() }
    const bytes = bytesOf(next.value ?? '')
    length += bytes.length
    if (length > maxBytes) return { kind: 'too_large' }
    if (!blocks.append(bytes)) return { kind: 'displaced' }
  }
}

function chunksOf(body: WebStream | AsyncIterable<Uint8Array>): Chunks {
  if (isStream(body)) {
    const reader = body.getReader()
    return { next: () => reader.read(), stop: async () => reader.cancel?.() }
  }
  if (!isNodeStream(body)) {
    const iterator = body[Symbol.asyncIterator]()
    return { next: () => iterator.next(), stop: async () => iterator.return?.() }
  }
  // Ending this one destroys the connection, with the answer that is on its way, or with a request that comes next. So the
  // rest is read and dropped, as Node's `http` does it.
  const iterator = body.iterator({ destroyOnReturn: false })
  return { next: () => iterator.next(), stop: async () => iterator.return?.().then(() => body.resume()) }
}

const isStream = (body: unknown): body is WebStream =>
  typeof body === 'object' && body !== null && 'getReader' in body && typeof body.getReader === 'function'

function bytesOf(bytes: Bytes): Uint8Array {
  if (typeof bytes === 'string') return Buffer.from(bytes)
  return ArrayBuffer.isView(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes)
}
