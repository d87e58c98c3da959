import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { fromNode, type IncomingRequest, type Receiver } from '../../../src/receiver/receiver.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack, message, slackEvent, slackHeaders } from '../../support/webhooks.ts'

const mebibyte = 1_048_576

const ends: (() => unknown)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A server that hands requests on as they come; Slack's at /, those of GitHub at the id of their integration. */
async function serve(receiver: Receiver): Promise<number> {
  const server = createServer(async (request, response) => {
    const integrationId = request.url?.slice(1) ?? ''
    const incoming = fromNode(request)
    const outcome = await (integrationId ? receiver.github(incoming, { integrationId }) : receiver.slack(incoming))
    response.writeHead(outcome.status).end(outcome.kind === 'rejected' ? outcome.reason : outcome.kind)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => server.close().closeAllConnections())
  return (server.address() as AddressInfo).port
}

/** Begins a body with a bogus signature of GitHub, and never ends it. */
function endless(port: number, path: string, bytes: number) {
  const state: { answer: unknown } = { answer: null }
  const headers = { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}`, 'content-length': 25 * mebibyte }
  const sent = send({ port, method: 'POST', path: `/${path}`, headers }, async (response) => {
    state.answer = `${response.statusCode} ${Buffer.concat(await response.toArray())}`
  })
  sent.on('error', () => {})
  sent.flushHeaders()
  const written = new Promise<void>((resolve) => sent.write(randomBytes(bytes), () => resolve()))
  ends.push(() => sent.destroy())
  return { state, written }
}

const post = (port: number, headers: Record<string, string>, body: string) =>
  fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body }).then((response) => response.status)

test('many bodies that never end take no more memory than there is, and webhooks are answered meanwhile', async () => {
  const { store, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const id = await add(store, 'code', 'a-secret-of-github', { platform: 'github' })
  const port = await serve(await receive({ remember: 60 }))
  const body = slackEvent(message)
  const webhook = () => post(port, slackHeaders(signingSecret(1), body), body)
  // Of what nobody is registered for, nothing is read.
  const strangers = Array.from({ length: 12 }, (_, i) => endless(port, `nobody-${i}`, 1))
  await expect
    .poll(() => strangers.map(({ state }) => state.answer), { timeout: 20_000 })
    .toEqual(Array(12).fill('401 unknown_integration'))
  // Two and a half of these fit.
  const senders: ReturnType<typeof endless>[] = []
  for (let i = 0; i < 4; i++) {
    const sender = endless(port, id, 19 * mebibyte)
    senders.push(sender)
    await expect
      .poll(() => senders.filter(({ state }) => state.answer === '503 unavailable').length, { timeout: 20_000 })
      .toBe(Math.max(0, i - 1))
    await Promise.race([sender.written, expect.poll(() => sender.state.answer, { timeout: 20_000 }).toBeTruthy()])
    expect(await webhook()).toBe(200)
  }
  expect(senders.filter(({ state }) => state.answer === null).length).toBe(2)
})

/** What frameworks hand over, and what is to become of it. */
const body = slackEvent(message)
const signed = slackHeaders(signingSecret(1), body)
const bytes = new TextEncoder().encode(body)
const consumed = async () => {
  const request = fromSlack(signingSecret(1))
  await request.json()
  return request
}
const ok = ['support', 'message', 1, 'current']
const notRead = [500, 'body_consumed']
const cases: Record<string, [make: () => IncomingRequest | Promise<IncomingRequest>, outcome: unknown]> = {
  'headers in any case': [
    () => fromNode({ headers: Object.fromEntries(Object.entries(signed).map(([k, v]) => [k.toUpperCase(), v])) }, body),
    ok,
  ],
  'numbers in headers': [
    () =>
      fromNode(
        {
          headers: {
            ...signed,
            'content-length': bytes.length,
            'x-slack-request-timestamp': Number(signed['x-slack-request-timestamp']),
          },
        },
        bytes,
      ),
    ok,
  ],
  'arrays in headers': [
    () => fromNode({ headers: Object.fromEntries(Object.entries(signed).map(([k, v]) => [k, [v]])) }, body),
    ok,
  ],
  'a signature that came twice': [
    () => fromNode({ headers: { ...signed, 'X-Slack-Signature': signed['x-slack-signature'] } }, body),
    [401, 'signature_malformed'],
  ],
  'the headers of the web': [() => fromNode({ headers: new Headers(signed) }, body), ok],
  'an ArrayBuffer': [() => fromNode({ headers: signed }, bytes.slice().buffer), ok],
  'a part of a buffer': [() => fromNode({ headers: signed }, Buffer.from(`--${body}--`).subarray(2, -2)), ok],
  'a text without fromNode': [() => ({ headers: new Headers(signed), body }), ok],
  'plain headers without fromNode': [() => ({ headers: signed, body }) as unknown as IncomingRequest, ok],
  'headers alone': [() => fromNode({ headers: signed }), [401, 'signature_mismatch']],
  'a request of the web that was read': [consumed, notRead],
  'a parsed body without fromNode': [
    () => ({ headers: new Headers(signed), body: JSON.parse(body) }) as unknown as IncomingRequest,
    notRead,
  ],
  'a parsed body and plain headers': [
    () => ({ headers: signed, body: JSON.parse(body) }) as unknown as IncomingRequest,
    notRead,
  ],
  'a stream and plain headers': [
    () => ({ headers: signed, body: new Blob([body]).stream() }) as unknown as IncomingRequest,
    ok,
  ],
  'a form and plain headers': [
    () => ({ headers: signed, body: new URLSearchParams({ a: '1' }) }) as unknown as IncomingRequest,
    notRead,
  ],
  'a parsed number': [() => ({ headers: new Headers(signed), body: 1 }) as unknown as IncomingRequest, notRead],
  'a parsed number and plain headers': [() => ({ headers: signed, body: 1 }) as unknown as IncomingRequest, notRead],
}

test('what frameworks hand over is taken, and a body that was read already is told of', async () => {
  const { store, errors, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  const outcomes: Record<string, unknown> = {}
  for (const [name, [make]] of Object.entries(cases)) outcomes[name] = brief(await receiver.slack(await make()))
  expect(outcomes).toEqual(Object.fromEntries(Object.entries(cases).map(([name, [, outcome]]) => [name, outcome])))
  const told = {
    code: 'BAD_INPUT',
    message: 'the body of the request was read before the receiver got the request, so the signature cannot be checked',
  }
  expect(errors).toEqual(Array(6).fill(expect.objectContaining(told)))
})

test('a request of Node’s http that a parser has read is a clear error, whether signed or not', async () => {
  const { store, errors, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  const parsing: ((request: IncomingMessage) => Promise<unknown>)[] = [json, async (one) => one.setEncoding('utf8')]
  const statuses: number[] = []
  for (const parse of parsing) {
    const server = createServer(async (request, response) => {
      await parse(request)
      response.writeHead((await receiver.slack(fromNode(request))).status).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    ends.push(() => server.close().closeAllConnections())
    const { port } = server.address() as AddressInfo
    statuses.push(await post(port, signed, body), await post(port, {}, body))
  }
  expect([statuses, errors.map((error) => (error as { code: string }).code)]).toEqual([
    [500, 401, 200, 401],
    ['BAD_INPUT'],
  ])
})
