import { spawn } from 'node:child_process'
import { createHmac, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { resolve } from 'node:path'
import { appSecret, type Data, teamOf } from './data.ts'
import { environment } from './measure.ts'

/** How far two kinds of answers are told apart by their time. */
export interface Apart {
  /** How many of a hundred are told right, by the threshold that told the others best; 50 is chance. */
  readonly right: number
  /** The median times, in milliseconds. */
  readonly known: number
  readonly unknown: number
}

/** Asks for a team, signed with a secret. @returns the milliseconds until the answer */
type Ask = (team: string, secret: string) => Promise<number>

/**
 * Measures how far answers for teams that have an integration are told from those for teams that have none, for webhooks
 * with a wrong signature: one at a time, in random order.
 *
 * @param count of each kind; `addSealed` has added so many integrations of Slack
 */
export async function toldApart({ env }: Data, count: number): Promise<{ first: Apart; again: Apart }> {
  const server = spawn(process.execPath, [resolve('bench/programs/serve.js')], {
    env: { ...environment, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    const [port] = await once(server.stdout.setEncoding('utf8'), 'data')
    const ask: Ask = async (team, secret) => {
      const body = JSON.stringify({ type: 'event_callback', team_id: team, event: { type: 'message', text: 'hi' } })
      const at = Math.floor(Date.now() / 1000)
      const headers = {
        'content-type': 'application/json',
        'x-slack-request-timestamp': at,
        'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`,
      }
      const startedAt = performance.now()
      const sent = request(`http://127.0.0.1:${Number(port)}/slack`, { method: 'POST', agent, headers }).end(body)
      const [response] = await once(sent, 'response')
      const milliseconds = performance.now() - startedAt
      await once(response.resume(), 'end')
      return milliseconds
    }
    // Code is compiled by then, and connections are there.
    for (let i = 0; i < 20; i++) await ask(`TWARM${i}`, i % 2 === 0 ? appSecret : 'wrong')
    // Each team for the first time.
    const first = await compare(ask, count, (i) => [teamOf(i), `TUNKNOWN${i}`])
    // Two teams again and again, while the known team receives webhooks.
    const again = await compare(ask, count, async (i) => {
      if (i % 10 === 0) await ask(teamOf(0), appSecret)
      return [teamOf(0), 'TUNKNOWN0']
    })
    return { first, again }
  } finally {
    agent.destroy()
    server.kill()
  }
}

type Teams = readonly [known: string, unknown: string]

async function compare(ask: Ask, count: number, teams: (i: number) => Teams | Promise<Teams>): Promise<Apart> {
  const times: [number[], number[]] = [[], []]
  for (let i = 0; i < count; i++) {
    const both = await teams(i)
    const order = randomInt(2)
    for (const which of [order, 1 - order] as const)
      times[which as 0 | 1].push(await ask(both[which as 0 | 1], 'wrong'))
  }
  const half = Math.floor(count / 2)
  const { threshold, isKnownBelow } = best(times[0].slice(0, half), times[1].slice(0, half))
  const right =
    times[0].slice(half).filter((one) => one <= threshold === isKnownBelow).length +
    times[1].slice(half).filter((one) => one <= threshold !== isKnownBelow).length
  const middle = (of: readonly number[]) => [...of].sort((a, b) => a - b)[half] ?? Number.NaN
  return { right: (right / (2 * (count - half))) * 100, known: middle(times[0]), unknown: middle(times[1]) }
}

/** The threshold that tells two kinds of times apart best. */
function best(known: readonly number[], unknown: readonly number[]): { threshold: number; isKnownBelow: boolean } {
  let [threshold, isKnownBelow, most] = [0, true, 0]
  for (const candidate of [...known, ...unknown]) {
    const below = (of: readonly number[]) => of.filter((one) => one <= candidate).length
    const right = below(known) + unknown.length - below(unknown)
    for (const [isBelow, told] of [
      [true, right],
      [false, known.length + unknown.length - right],
    ] as const)
      if (told > most) [threshold, isKnownBelow, most] = [candidate, isBelow, told]
  }
  return { threshold, isKnownBelow }
}
