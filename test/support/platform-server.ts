import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it came. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly token: string
}

/** What the server answers a token with: a status, headers and a body, or something that no API does. */
export type Script =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body: unknown }
  | ((response: ServerResponse, request: IncomingMessage) => void)

/** A server of our own on a loopback address that plays the platforms' APIs. */
export interface PlatformServer {
  readonly url: string
  /** Every request, in order. */
  readonly asked: Asked[]
  /** How many connections were made. */
  connections(): number
  /** The most requests that were under way at the same time. */
  most(): number
  /** What to answer a token with, one after another; the last goes on. */
  script(token: string, ...answers: Script[]): void
  /** For INTEGRATIONS_API_URL. */
  readonly everything: string
  close(): Promise<void>
}

/** Slack's answer to a good token. */
export const slackOk = (more: object = {}, scopes?: string): Script => ({
  ...(scopes === undefined ? {} : { headers: { 'x-oauth-scopes': scopes } }),
  body: {
    ok: true,
    url: 'https://acme.slack.com/',
    team: 'Acme Inc',
    user: 'helper',
    team_id: 'T012345',
    user_id: 'U012345',
    bot_id: 'B012345',
    is_enterprise_install: false,
    ...more,
  },
})

/** Slack's answer to a token that it does not like. */
export const slackError = (error: string): Script => ({ body: { ok: false, error } })

/** Pylon's answer to a good token. */
export const pylonOk = (id = 'org-1'): Script => ({ body: { data: { id, name: 'Acme' }, request_id: 'r-1' } })

/** GitHub's answer to a good token, which may say when it expires. */
export const githubOk = (expires?: string): Script => ({
  ...(expires === undefined ? {} : { headers: { 'github-authentication-token-expiration': expires } }),
  body: { login: 'acme-bot', id: 1 },
})

/** Pylon's answer to a token that it does not like. */
export const pylonError = (status: number, code?: string): Script => ({
  status,
  body: { errors: ['No.'], request_id: 'r-1', ...(code === undefined ? {} : { code }) },
})

/** Never ends an answer once it has begun. */
export const endless: Script = (response) => {
  response.writeHead(200)
  const more = () => {
    while (!response.destroyed && response.write('x'.repeat(65_536)));
  }
  response.on('drain', more)
  more()
}

/** Slack's answer to the request to revoke a good token. */
export const slackRevoked: Script = { body: { ok: true, revoked: true } }

const usual = (path: string): Script => {
  if (path.endsWith('/auth.revoke')) return slackRevoked
  if (path.endsWith('/credentials/revoke')) return { status: 202, body: '' }
  if (path.endsWith('/installation/token')) return { status: 204, body: '' }
  return path.endsWith('/me') ? pylonOk() : path.endsWith('/user') ? githubOk() : slackOk()
}

/** The token that a request is about: GitHub takes those to revoke in the body. */
async function tokenOf(request: IncomingMessage): Promise<string> {
  const { authorization } = request.headers
  if (authorization !== undefined) return authorization.replace(/^Bearer /, '')
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  return body === '' ? '' : JSON.parse(body).credentials.join()
}

/**
 * Starts a server.
 *
 * @param host a loopback address
 */
export async function startPlatformServer(host = '127.0.0.1'): Promise<PlatformServer> {
  const asked: Asked[] = []
  const scripts = new Map<string, Script[]>()
  let connections = 0
  let under = 0
  let most = 0
  const server: Server = createServer(async (request, response) => {
    most = Math.max(most, ++under)
    response.on('close', () => under--)
    const token = await tokenOf(request)
    const { pathname } = new URL(request.url ?? '/', 'http://here')
    asked.push({ method: request.method ?? '', path: pathname, token })
    const left = scripts.get(token) ?? []
    const answer = (left.length > 1 ? left.shift() : left[0]) ?? usual(pathname)
    if (typeof answer === 'function') return answer(response, request)
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers }).end(text)
  })
  server.on('connection', () => connections++)
  await new Promise<void>((done) => server.listen(0, host, done))
  const url = `http://${host}:${(server.address() as AddressInfo).port}/`
  return {
    url,
    asked,
    connections: () => connections,
    most: () => most,
    script: (token, ...answers) => void scripts.set(token, answers),
    everything: `slack=${url}api/,pylon=${url},github=${url}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}
