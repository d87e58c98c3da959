import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { appSecret, type Data, teamOf } from './data.ts'
import { environment } from './measure.ts'

/** What comes before is not counted, in milliseconds: the server compiles its code, and finds the team for the first time. */
const warmUpMs = 3000

/** How many webhooks of a known team come in a second, of teams that are invented, and that name no team. */
const perSecond = { known: 20, invented: 20, anonymous: 2 }

/**
 * Measures how long webhooks of a known team take, from when each was due, while strangers send requests with a wrong
 * signature.
 *
 * @returns the time in which 95 of 100 were answered with 200, in milliseconds
 */
export async function guessed({ env }: Data, seconds: number): Promise<number> {
  const server = spawn(process.execPath, [resolve('bench/programs/serve.js')], {
    env: { ...environment, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const agent = new Agent({ keepAlive: true })
  try {
    const [port] = await once(server.stdout.setEncoding('utf8'), 'data')
    const url = `http://127.0.0.1:${Number(port)}/slack`
    async function send(payload: object, secret: string): Promise<number | undefined> {
      const body = JSON.stringify(payload)
      const at = Math.floor(Date.now() / 1000)
      const headers = {
        'content-type': 'application/json',
        'x-slack-request-timestamp': at,
        'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`,
      }
      const [response] = await once(request(url, { method: 'POST', agent, headers }).end(body), 'response')
      await once(response.resume(), 'end')
      return response.statusCode
    }
    const event = (team: string) => ({ type: 'event_callback', team_id: team, event: { type: 'message', text: 'hi' } })
    const begunAt = performance.now()
    /** Sends requests of a kind at their times. @returns how long each took */
    async function every(rate: number, one: (i: number) => Promise<number | undefined>): Promise<number[]> {
      const answered: Promise<number>[] = []
      for (let i = 0; i < (warmUpMs / 1000 + seconds) * rate; i++) {
        const due = begunAt + (i * 1000) / rate
        await sleep(Math.max(0, due - performance.now()))
        const take = async () => ((await one(i)) === 200 ? performance.now() - due : Number.POSITIVE_INFINITY)
        answered.push(take())
      }
      return (await Promise.all(answered)).slice((warmUpMs / 1000) * rate)
    }
    const [known] = await Promise.all([
      every(perSecond.known, () => send(event(teamOf(0)), appSecret)),
      every(perSecond.invented, (i) => send(event(`TINVENTED${i}`), 'wrong')),
      every(perSecond.anonymous, (i) => send({ type: 'url_verification', challenge: String(i) }, 'wrong')),
    ])
    const sorted = known.toSorted((a, b) => a - b)
    return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN
  } finally {
    agent.destroy()
    server.kill()
  }
}
