import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, request as send } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterEach, expect, test, vi } from 'vitest'
import { fromNode, type IncomingRequest, type Receiver } from '../../../src/receiver/receiver.ts'
import { BodyBudget, type BodyPlace } from '../../../src/receiver/request/body-budget.ts'
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
  // A connection must not end between two requests of a slow machine.
  server.keepAliveTimeout = 60_000
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

type Step = string | RegExp | ((socket: Socket) => unknown)

/** Writes texts to a connection, and waits for patterns in what comes back. @returns all that came back */
async function talk(port: number, steps: readonly Step[]): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  ends.push(() => socket.destroy())
  let answer = ''
  socket.on('data', (text) => (answer += text)).on('error', (error) => (answer += error.message))
  for (const step of steps)
    if (typeof step === 'string') socket.write(step)
    else if (typeof step === 'function') await step(socket)
    else await expect.poll(() => answer, { timeout: 20_000 }).toMatch(step)
  return answer
}

/** The head of a request. */
const head = (path: string, headers: Record<string, string | number>) =>
  [`POST /${path} HTTP/1.1`, 'host: x', ...Object.entries(headers).map(([k, v]) => `${k}: ${v}`), '', ''].join('\r\n')

const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`
const chunked = { 'transfer-encoding': 'chunked' }

test('a body that is too large is answered, and its connection goes on', async () => {
  const { store, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const port = await serve(await receive())
  const text = slackEvent(message)
  const good = head('', { ...slackHeaders(signingSecret(1), text), 'content-length': text.length }) + text
  const large = head('', { ...slackHeaders(signingSecret(2), ''), ...chunked })
  const rest = `${chunk(mebibyte)}0\r\n\r\n`
  const answer = await talk(port, [
    large,
    chunk(mebibyte),
    chunk(1),
    /too_large/,
    rest,
    good,
    /too_large[\s\S]*event|Error/,
  ])
  expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200'])
})

test('however a body ends, its memory is given back', async () => {
  const opened = vi.spyOn(BodyBudget.prototype, 'open')
  const { store, receive } = await start('sqlite')
  const id = await add(store, 'code', 'a-secret-of-github', { platform: 'github' })
  const port = await serve(await receive({ remember: 60 }))
  const bogus = { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }
  const long = { ...bogus, 'content-length': 3 * mebibyte }
  const some = 'x'.repeat(2 * mebibyte)
  const whole = some + 'x'.repeat(mebibyte)
  const held = () => (opened.mock.contexts[0] as BodyBudget).bytes
  const isHeld = () => expect.poll(held, { timeout: 20_000 }).toBeGreaterThan(mebibyte)
  const isBack = () => expect.poll(held, { timeout: 20_000 }).toBe(0)
  const endings: Record<string, Step[]> = {
    reset: [head(id, long), some, isHeld, (socket) => socket.resetAndDestroy(), isBack],
    closed: [head(id, long), some, isHeld, (socket) => socket.destroy(), isBack],
    'half closed': [head(id, long), some, isHeld, (socket) => socket.end(), isBack],
    'half closed between chunks': [
      ...[head(id, { ...bogus, ...chunked }), chunk(2 * mebibyte), isHeld],
      ...[(socket: Socket) => socket.end(), isBack],
    ],
    'a chunk without a length': [head(id, { ...bogus, ...chunked }), chunk(2 * mebibyte), isHeld, 'no\r\n', isBack],
    'longer than announced': [head(id, { ...bogus, 'content-length': 9 }), some, /mismatch|Bad Request/, isBack],
    'expected to be continued': [
      head(id, { ...long, expect: '100-continue' }),
      /100 Continue/,
      whole,
      /mismatch/,
      isBack,
    ],
    compressed: [head(id, { ...long, 'content-encoding': 'gzip' }), whole, /mismatch/, isBack],
    pipelined: [head(id, long) + whole + head(id, long) + whole, /mismatch[\s\S]*mismatch/, isBack],
  }
  const back: string[] = []
  for (const [name, steps] of Object.entries(endings)) {
    await talk(port, steps)
    back.push(name)
  }
  expect(back).toEqual(Object.keys(endings))
})

test('a large body that is here already takes none of the memory where its integration is unknown', async () => {
  const { store, receive } = await start('sqlite')
  const id = await add(store, 'code', 'a-secret-of-github', { platform: 'github' })
  const receiver = await receive()
  const opened = vi.spyOn(BodyBudget.prototype, 'open').mockClear()
  const sent = fromNode({ headers: { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` } }, Buffer.alloc(65_537))
  expect([
    brief(await receiver.github(sent, { integrationId: 'nobody' })),
    brief(await receiver.github(sent, { integrationId: id })),
    opened.mock.results.map(({ value }) => (value as BodyPlace).completedAt !== undefined),
  ]).toEqual([
    [401, 'unknown_integration'],
    [401, 'signature_mismatch'],
    [false, true],
  ])
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
