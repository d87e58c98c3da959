import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, type OutgoingHttpHeaders, request } from 'node:http'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Data, secretOf } from './data.ts'
import { environment } from './measure.ts'

/** How many strangers send at once, how much each, and how many webhooks come meanwhile. */
const strangers = 100
const strangersBytes = 25 * 1024 * 1024
const webhooks = 200
const webhookIntervalMs = 50

/** What became of a receiver that strangers flood. */
export interface Flood {
  /** The most memory it held, in MiB. */
  readonly peak: number
  /** The time in which 99 of 100 webhooks were answered with 200, in milliseconds; infinite when fewer were. */
  readonly slowest: number
  /** How many webhooks were answered with each status. */
  readonly statuses: { readonly [status: string]: number }
}

/** Floods a receiver with unsigned bodies, for integrations that `addSealed` has added, while webhooks come. */
export async function flood({ env }: Data): Promise<Flood> {
  const child = spawn(process.execPath, [resolve('bench/programs/serve.js')], {
    env: { ...environment, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const [port] = await once(child.stdout.setEncoding('utf8'), 'data')
    const url = `http://127.0.0.1:${Number(port)}`
    await webhook(url, 0)
    let over = false
    const senders = Array.from({ length: strangers }, async (_, i) => {
      while (!over) await stranger(`${url}/${idOf(i)}`)
    })
    const times: number[] = []
    const statuses: Record<string, number> = {}
    await Promise.all(
      Array.from({ length: webhooks }, async (_, i) => {
        await sleep(i * webhookIntervalMs)
        const startedAt = performance.now()
        const status = await webhook(url, i)
        times.push(status === 200 ? performance.now() - startedAt : Number.POSITIVE_INFINITY)
        statuses[status] = (statuses[status] ?? 0) + 1
      }),
    )
    over = true
    const peak = peakOf(child.pid ?? 0)
    child.stdin.end()
    await Promise.all(senders)
    return { peak, slowest: times.sort((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? Number.NaN, statuses }
  } finally {
    child.kill()
  }
}

const idOf = (i: number) => `sealed-${String(i).padStart(8, '0')}`

/** Linux counts the memory of whoever starts a process as the process's own, but for what it says here. */
const peakOf = (pid: number) => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

const agent = new Agent({ keepAlive: true })

const headersOf = (body: Buffer | undefined, signature: string): OutgoingHttpHeaders => ({
  'content-type': 'application/json',
  'content-length': body?.length ?? strangersBytes,
  'x-github-event': 'issues',
  'x-github-delivery': crypto.randomUUID(),
  'x-hub-signature-256': `sha256=${signature}`,
})

/** @returns the status, 0 where the connection was cut */
function webhook(url: string, i: number): Promise<number> {
  const id = idOf(i % strangers)
  const body = Buffer.from(`{"action":"opened","issue":{"number":${i}},"sender":{"type":"User","login":"ana"}}`)
  const signature = createHmac('sha256', secretOf(id)).update(body).digest('hex')
  return new Promise((done) => {
    const options = { method: 'POST', agent, headers: headersOf(body, signature) }
    const sent = request(`${url}/${id}`, options, (response) => {
      response.resume().on('end', () => done(response.statusCode ?? 0))
    })
    sent.on('error', () => done(0)).end(body)
  })
}

/** Sends a large body as fast as it is taken, until it is answered or the connection is cut. */
async function stranger(url: string): Promise<void> {
  const sent = request(url, { method: 'POST', agent: false, headers: headersOf(undefined, '0'.repeat(64)) })
  const closed = new Promise((done) => sent.on('response', () => sent.destroy()).once('close', done))
  await pipeline(zeros, sent).catch(() => {})
  await closed
}

function* zeros(): Generator<Buffer> {
  const chunk = Buffer.alloc(65_536)
  for (let sent = 0; sent < strangersBytes; sent += chunk.length) yield chunk
}
