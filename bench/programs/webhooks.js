import { createHmac } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { secretOf } from './requests.js'

/**
 * Sends webhooks of GitHub: `webhooks.js <url> <seconds>`, 20 small ones a second, and 2 of 1 to 2 MB. Prints the status of
 * each, and how long it took.
 */
const [url, seconds] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })

function bodyOf(i, isLarge) {
  const text = isLarge ? 'x'.repeat(1_000_000 + ((i * 7919) % 1000) * 1000) : ''
  return Buffer.from(
    `{"action":"opened","issue":{"number":${i},"body":"${text}"},"sender":{"type":"User","login":"ana"}}`,
  )
}

function webhook(i, isLarge) {
  const id = `sealed-${String(i % 100).padStart(8, '0')}`
  const body = bodyOf(i, isLarge)
  const signature = createHmac('sha256', secretOf(id)).update(body).digest('hex')
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'x-github-event': 'issues',
    'x-github-delivery': crypto.randomUUID(),
    'x-hub-signature-256': `sha256=${signature}`,
  }
  const startedAt = performance.now()
  return new Promise((done) => {
    request(`${url}/${id}`, { method: 'POST', agent, headers }, (response) => {
      response
        .resume()
        .on('end', () => done({ status: response.statusCode, milliseconds: performance.now() - startedAt }))
    })
      .on('error', (error) => done({ status: error.code, milliseconds: performance.now() - startedAt }))
      .end(body)
  })
}

const all = { small: [], large: [] }
const running = []
const begunAt = performance.now()
for (let i = 0; i < Number(seconds) * 20; i++) {
  const waitMs = begunAt + i * 50 - performance.now()
  if (waitMs > 0) await sleep(waitMs)
  running.push(webhook(i, false).then((one) => all.small.push(one)))
  if (i % 10 === 9) running.push(webhook(i, true).then((one) => all.large.push(one)))
}
await Promise.all(running)
process.stdout.write(JSON.stringify(all))
