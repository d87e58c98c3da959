import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runProgram } from '../support/program.ts'
import { type Endpoint, postSlack, startEndpoint } from '../support/receiver-example.ts'
import { signingSecret } from '../support/samples.ts'
import { addSlack, rotate } from '../support/slack-integration.ts'
import { message, slackEvent } from '../support/webhooks.ts'

/** How many requests are sent each second, and for how long a receiver remembers secrets. */
const requestsPerSecond = 200
const rememberMs = 5000

/** Sends requests at a steady rate, whatever becomes of them. */
function startSending(endpoint: Endpoint, first: string) {
  const sender = { secret: first }
  const statuses: Promise<number>[] = []
  const begun = performance.now()
  const timer = setInterval(() => {
    // Timers that come late are made up for.
    while (statuses.length < ((performance.now() - begun) * requestsPerSecond) / 1000)
      statuses.push(postSlack(endpoint.url, sender.secret, slackEvent(message, { event_id: `Ev${statuses.length}` })))
  }, 5)
  return {
    sender,
    async stop(): Promise<{ sent: number; statuses: Set<number> }> {
      clearInterval(timer)
      return { sent: statuses.length, statuses: new Set(await Promise.all(statuses)) }
    },
  }
}

/** Sends with one secret until it is refused for good. @returns when the last that was accepted was sent */
async function lastAccepted(endpoint: Endpoint, secret: string, until: number): Promise<number> {
  let last = Number.NEGATIVE_INFINITY
  while (performance.now() < until) {
    const sent = performance.now()
    if ((await postSlack(endpoint.url, secret, slackEvent(message))) === 200) last = sent
    await sleep(50)
  }
  return last
}

test.each(kinds)(
  'on %s, no webhook is lost while a secret is replaced, and none is accepted too long',
  async (kind) => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    await addSlack(env, 'support', '--slack-team-id', 'T012AB3CD')
    const done = async (outcome: Promise<{ code: number | null; stderr: string }>) =>
      expect(await outcome).toMatchObject({ code: 0 })
    const secrets = (...args: string[]) => done(runProgram(['secrets', ...args], { env }))
    const endpoint = await startEndpoint(db)
    const load = startSending(endpoint, signingSecret(1))
    /** At a random moment, some time after the secret was put in here. */
    const switchTo = async (n: number) => {
      await sleep(Math.random() * 3000)
      load.sender.secret = signingSecret(n)
      await sleep(1000)
    }
    await sleep(1000)
    await done(rotate(env, 2, '--grace', '1h'))
    await switchTo(2)
    // The endpoint has reported that the current secret matches; the previous secret still did a moment ago.
    await secrets('finish', 'support', 'webhook-secret', '--force')
    const finished = performance.now()
    const last = await lastAccepted(endpoint, signingSecret(1), finished + rememberMs + 2000)
    await done(rotate(env, 3, '--grace', '1h'))
    await switchTo(3)
    await secrets('revert', 'support', 'webhook-secret')
    await switchTo(2)
    await done(rotate(env, 4, '--grace', '3s', '--end-previous'))
    await sleep(Math.random() * 2000)
    load.sender.secret = signingSecret(4)
    // A grace period that expires by itself is over at once.
    await sleep(2000)
    const { sent, statuses } = await load.stop()
    const expired = performance.now()
    expect([...statuses]).toEqual([200])
    // The machine was quick enough to send what was to be sent.
    expect(sent).toBeGreaterThan(requestsPerSecond * 12)
    expect(last - finished).toBeLessThan(rememberMs)
    expect(await lastAccepted(endpoint, signingSecret(2), expired + 3000)).toBeLessThan(expired + 1000)
    expect(await endpoint.stop()).toBe(0)
    const [{ matched } = {}] = await db.query('SELECT sum(match_count) AS matched FROM integration_secrets')
    expect(Number(matched)).toBeGreaterThanOrEqual(sent)
  },
)
