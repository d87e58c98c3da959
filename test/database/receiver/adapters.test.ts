import { createServer, type IncomingMessage, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { fromNode, type IncomingRequest } from '../../../src/receiver/receiver.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { message, slackEvent, slackHeaders } from '../../support/webhooks.ts'

const parses = ({ headers }: IncomingMessage) =>
  headers['content-type'] !== undefined &&
  (headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined)

/** How servers hand on a request, as docs/receiving-webhooks.md has them do it. */
const servers: Record<string, (request: IncomingMessage) => Promise<IncomingRequest>> = {
  'Node’s http': async (request) => fromNode(request),
  // Its parser for buffers reads what has no type, too.
  Fastify: async (request) =>
    fromNode(request, parses(request) || request.headers['content-length'] !== '0' ? await buffer(request) : undefined),
  'Express 5': async (request) => fromNode(request, parses(request) ? await buffer(request) : undefined),
  // What it leaves where there is nothing to read is what TypeScript does not let anybody write.
  'Express 4': async (request) => fromNode(request, (parses(request) ? await buffer(request) : {}) as Uint8Array),
}

test.each(Object.entries(servers))('%s hands on the bytes that came', async (_, handOn) => {
  const { store, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  const server = createServer(async (request, response) => {
    const { status, body } = await receiver.slack(await handOn(request))
    response.writeHead(status).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const post = (chunks: readonly string[], headers: Record<string, string>) =>
    new Promise<unknown>((resolve, reject) => {
      const sent = send({ port, method: 'POST', headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
        sent.destroy()
      })
      sent.on('error', reject)
      for (const chunk of chunks) sent.write(chunk)
      sent.end()
    })
  // What a parser would write otherwise: spaces, an escape, and the order of keys that look like numbers.
  const body = slackEvent({ ...message, text: 'a' }).replace('"a"', ' "\\u00e9" , "2" : 1, "1": 2')
  const signed = slackHeaders(signingSecret(1), body)
  const { 'content-type': _type, ...untyped } = signed
  const whole = { 'content-length': String(Buffer.byteLength(body)) }
  try {
    expect({
      whole: await post([body], { ...signed, ...whole }),
      chunked: await post([body.slice(0, 40), body.slice(40)], signed),
      untyped: await post([body], untyped),
      none: await post([], { ...signed, 'content-length': '0' }),
      nothing: await post([], { 'content-length': '0' }),
      empty: await post([], { ...slackHeaders(signingSecret(1), ''), 'content-length': '0' }),
      altered: await post([`${body}\n`], signed),
    }).toEqual({ whole: 200, chunked: 200, untyped: 200, none: 401, nothing: 401, empty: 400, altered: 401 })
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
})

test('a body that is too long is answered, and a body that was parsed is told of', async () => {
  const { receive } = await start('sqlite')
  const receiver = await receive()
  const server = createServer(async (request, response) => {
    const { status } = await receiver.slack(fromNode(request))
    response.writeHead(status).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const chunked = (length: number, headers: Record<string, string>) =>
    fetch(url, {
      method: 'POST',
      body: new Blob([new Uint8Array(length)]).stream(),
      headers,
      duplex: 'half',
    }).then(({ status }) => status)
  try {
    expect([await chunked(2_000_000, slackHeaders(signingSecret(1), '')), await chunked(2_000_000, {})]).toEqual([
      413, 401,
    ])
  } finally {
    server.closeAllConnections()
    server.close()
  }
  const parsed = { type: 'event_callback' } as unknown as Uint8Array
  expect(() => fromNode({ headers: {} }, parsed)).toThrow('the body of the request was parsed')
})

test('headers are taken in every shape in which they are handed on', async () => {
  const { store, errors, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  const body = slackEvent(message)
  const names = (headers: Record<string, string>) =>
    Object.entries(headers).map(([name, value]): [string, string] => [name.replace(/^x-slack/, 'X-Slack'), value])
  const pairs = () => names(slackHeaders(signingSecret(1), body))
  const shapes: Record<string, () => object> = {
    map: () => new Map(pairs()),
    'map of arrays': () => new Map(pairs().map(([name, value]) => [name, [value]])),
    pairs,
    'raw headers': () => pairs().flat(),
    iterator: () => new Map(pairs()).entries(),
    'get without null': () => {
      const headers = new Headers(pairs())
      return { get: (name: string) => headers.get(name) ?? undefined }
    },
    web: () => new Headers(pairs()),
    object: () => Object.fromEntries(pairs()),
  }
  const event = ['support', 'message', 1, 'current']
  for (const [shape, headers] of Object.entries(shapes)) {
    const asItCame = { headers: headers(), body } as never
    expect([shape, brief(await receiver.slack(asItCame))]).toEqual([shape, event])
    const adapted = fromNode({ headers: headers() } as never, Buffer.from(body))
    expect([shape, brief(await receiver.slack(adapted))]).toEqual([shape, event])
    const used = { headers: headers(), body, bodyUsed: true } as never
    if (shape === 'get without null' || shape === 'web')
      expect([shape, brief(await receiver.slack(used))]).toEqual([shape, [500, 'body_consumed']])
  }
  for (const headers of [new Map(), [], {}, { get: () => undefined }])
    expect(brief(await receiver.slack({ headers, body } as never))).toEqual([401, 'signature_missing'])
  const twice = [...pairs(), ...pairs().filter(([name]) => name.endsWith('signature'))]
  expect(brief(await receiver.slack({ headers: twice, body } as never))).toEqual([401, 'signature_malformed'])
  expect(errors.every((error) => (error as { code?: string }).code === 'BAD_INPUT')).toBe(true)
})
