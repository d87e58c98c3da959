import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Sends bodies of 25 MiB with bogus signatures over a hundred connections, each again and again, until standard input ends:
 * `strangers.js <url> <bytes a second of each>`. Prints a line once all have begun, and what came of them.
 */
const [url, pace] = process.argv.slice(2)
const connections = 100
const bodyBytes = 25 * 1024 * 1024
const chunk = Buffer.alloc(Math.min(65_536, Number(pace) / 16))
const intervalMs = (chunk.length / Number(pace)) * 1000
const headers = {
  'content-type': 'application/json',
  'content-length': bodyBytes,
  'x-github-event': 'issues',
  'x-github-delivery': '0',
  'x-hub-signature-256': `sha256=${'0'.repeat(64)}`,
}
const sums = { bytes: 0, answers: {} }

async function send(id, agent) {
  let isOpen = true
  const count = (answer) => {
    if (isOpen) sums.answers[answer] = (sums.answers[answer] ?? 0) + 1
    isOpen = false
  }
  const sent = request(`${url}/${id}`, { method: 'POST', agent, headers })
  const closed = new Promise((done) =>
    sent
      .once('response', ({ statusCode }) => {
        count(statusCode)
        sent.destroy()
      })
      .on('error', ({ code }) => count(code))
      .once('close', done),
  )
  let next = performance.now()
  for (let at = 0; isOpen && at < bodyBytes; at += chunk.length) {
    sums.bytes += chunk.length
    const taken = sent.write(chunk) || new Promise((done) => sent.once('drain', done))
    next += intervalMs
    await Promise.race([closed, Promise.all([taken, sleep(Math.max(0, next - performance.now()))])])
  }
  if (isOpen) sent.end()
  await closed
}

process.stdin.resume().once('end', () => process.stdout.write(JSON.stringify(sums), () => process.exit()))
for (let i = 0; i < connections; i++) {
  const agent = new Agent({ keepAlive: true })
  const again = () => send(`sealed-${String(i).padStart(8, '0')}`, agent).then(again)
  again()
  await sleep(10)
}
process.stdout.write('\n')
