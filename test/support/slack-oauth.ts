import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

/** The client of the app that the server knows. */
export const app = { id: '1111.2222', secret: ['client', 'secret', 'of', 'a', 'test'].join('-') }

/** The tokens of one installation, as they follow each other. */
export interface Chain {
  readonly n: number
  /** How often it was refreshed. */
  generation: number
}

/** The access token of a chain. */
export const accessToken = ({ n, generation }: Chain): string =>
  ['xox', `e.xox`, `b-1-${`${n}x${generation}`.padStart(60, 'A')}`].join('')

/** The refresh token of a chain, which can be handed in once. */
export const refreshToken = ({ n, generation }: Chain): string =>
  ['xox', `e-1-${`${n}x${generation}`.padStart(60, 'R')}`].join('')

/** How the server answers, other than as it should. */
export type Mood =
  | 'well'
  /** Before anything is done. */
  | 'limited'
  /** When the tokens are exchanged already. */
  | 'garbled'
  | 'hung up'

/** Slack's token endpoint on loopback, with refresh tokens that can be handed in once. */
export interface SlackOAuth {
  /** For INTEGRATIONS_API_URL. */
  readonly url: string
  /** Every refresh token that was handed in, in order. */
  readonly exchanges: string[]
  /** What was handed in that was used up, or never issued. */
  readonly refused: string[]
  /** How often each chain was exchanged. */
  readonly chains: Map<number, Chain>
  /** How often `auth.test` was asked. */
  tests: number
  mood: Mood
  /** In how many seconds new tokens end. */
  expiresIn: number
  /** Waits before each exchange, in milliseconds. */
  delay: number
  /** Called when what is asked is done, or refused, before it is answered. */
  onAnswer: () => Promise<void> | void
  /** A new installation. */
  install(n: number): Chain
}

/** Starts the server; it goes away with the test. */
export async function slackOAuth(): Promise<SlackOAuth> {
  const byRefreshToken = new Map<string, Chain>()
  const accessTokens = new Set<string>()
  const server: SlackOAuth & { url: string } = {
    url: '',
    exchanges: [],
    refused: [],
    chains: new Map(),
    tests: 0,
    mood: 'well',
    expiresIn: 43_200,
    delay: 0,
    onAnswer: () => {},
    install(n) {
      const chain = { n, generation: 0 }
      server.chains.set(n, chain)
      issue(chain)
      return chain
    },
  }
  const issue = (chain: Chain) => {
    byRefreshToken.set(refreshToken(chain), chain)
    accessTokens.add(accessToken(chain))
  }

  async function exchange(form: URLSearchParams, authorization: string | undefined, response: ServerResponse) {
    await sleep(server.delay)
    const expected = `Basic ${Buffer.from(`${app.id}:${app.secret}`).toString('base64')}`
    if (authorization !== expected) return answer(response, { ok: false, error: 'bad_client_secret' })
    if (form.get('grant_type') !== 'refresh_token') return answer(response, { ok: false, error: 'invalid_grant_type' })
    if (server.mood === 'limited') {
      await server.onAnswer()
      return answer(response, { ok: false, error: 'ratelimited' }, 429)
    }
    const token = form.get('refresh_token') ?? ''
    const chain = byRefreshToken.get(token)
    if (!chain) {
      server.refused.push(token)
      return answer(response, { ok: false, error: 'invalid_refresh_token' })
    }
    server.exchanges.push(token)
    byRefreshToken.delete(token)
    chain.generation++
    issue(chain)
    await server.onAnswer()
    if (server.mood === 'hung up') return void response.destroy()
    if (server.mood === 'garbled') return answer(response, '<html>')
    answer(response, {
      ok: true,
      access_token: accessToken(chain),
      refresh_token: refreshToken(chain),
      expires_in: server.expiresIn,
      token_type: 'bot',
    })
  }

  const listener = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.url === '/oauth.v2.access')
      return exchange(new URLSearchParams(body), request.headers.authorization, response)
    server.tests++
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    answer(response, accessTokens.has(token) ? { ok: true, team_id: 'T1' } : { ok: false, error: 'token_revoked' })
  })
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done))
  server.url = `slack=http://127.0.0.1:${(listener.address() as AddressInfo).port}/`
  onTestFinished(() => {
    listener.closeAllConnections()
    listener.close()
  })
  return server
}

function answer(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}
