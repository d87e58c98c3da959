import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import type { TestDatabase } from './database.ts'
import { slackHeaders } from './webhooks.ts'

/** An endpoint of examples/receiver that runs. */
export interface Endpoint {
  readonly url: string
  /** What it has printed so far. */
  printed(): string
  /** Asks it to stop. @returns its exit code */
  stop(): Promise<number | null>
}

/** Starts the example on a database: that of this version, or of one in another folder. */
export async function startEndpoint(
  db: TestDatabase,
  { folder = '.', keys = process.env.INTEGRATIONS_TEST_KEYS ?? '' }: { folder?: string; keys?: string } = {},
): Promise<Endpoint> {
  const child = spawn(process.execPath, [`${folder}/examples/receiver/server.js`], {
    env: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: db.url,
      INTEGRATIONS_KEYS_FILE: keys,
      PORT: '0',
    },
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (printed += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (printed += text))
  const ended = once(child, 'exit') as Promise<[number | null]>
  while (!/listening on (\d+)/.test(printed)) {
    await Promise.race([once(child.stdout, 'data'), ended])
    if (child.exitCode !== null) throw new Error(`the example ended: ${printed}`)
  }
  return {
    url: `http://127.0.0.1:${/listening on (\d+)/.exec(printed)?.[1]}`,
    printed: () => printed,
    stop: async () => {
      child.kill()
      return (await ended)[0]
    },
  }
}

const agent = new Agent({ keepAlive: true })

/** Posts a body. @returns the status */
export const post = (url: string, body: string, headers: Record<string, string>): Promise<number> =>
  new Promise((done, failed) => {
    const sent = request(url, { method: 'POST', headers, agent }, (response) => {
      response.resume().on('end', () => done(response.statusCode ?? 0))
    })
    // A connection that was kept may be closed by the other end just as it is used again.
    sent
      .on('error', (error) => (sent.reusedSocket ? post(url, body, headers).then(done, failed) : failed(error)))
      .end(body)
  })

/** Posts a body as Slack does. @returns the status */
export const postSlack = (url: string, secret: string, body: string): Promise<number> =>
  post(`${url}/slack`, body, slackHeaders(secret, body))
