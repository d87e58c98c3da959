/** The requests that every framework gets, and their outcomes. @module */
import { createHmac } from 'node:crypto'
import { request as send } from 'node:http'
import { signingSecret } from '../support/samples.ts'
import { message, slackEvent, slackHeaders } from '../support/webhooks.ts'

/** The secrets of the integrations: those of Slack now and before, and that of GitHub. */
export const secrets = { current: signingSecret(2), previous: signingSecret(1), github: signingSecret(3) }

/** A request of a platform. */
interface Sent {
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** What came of a request: the answer, and what the application was told. */
export interface Answered {
  readonly status: number
  readonly body: string
  readonly outcome: unknown
}

const slack = (body: string, secret = secrets.current, more: Record<string, string> = {}): Sent => {
  const { 'content-type': type = '', ...signed } = slackHeaders(secret, body)
  const asSlackWrites = Object.entries(signed).map(([name, value]) => [name.replace('x-slack', 'X-Slack'), value])
  return { path: '/slack', headers: { 'Content-Type': type, ...Object.fromEntries(asSlackWrites), ...more }, body }
}

const github = (id: string, body: string): Sent => ({
  path: `/github/${id}`,
  headers: {
    'Content-Type': 'application/json',
    'X-GitHub-Event': 'issues',
    'X-GitHub-Delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'X-Hub-Signature-256': `sha256=${createHmac('sha256', secrets.github).update(body).digest('hex')}`,
  },
  body,
})

const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
const envelope = { type: 'event_callback', team_id: 'T012AB3CD', api_app_id: 'A1', event_id: 'Ev1', event: message }
const beyondAscii = { ...message, text: 'Grüße, 日本 🎉 \u2028' }
const interaction = {
  type: 'block_actions',
  team: { id: 'T012AB3CD' },
  api_app_id: 'A1',
  user: { id: 'U1' },
  actions: [{ action_id: 'approve', value: 'ä & +' }],
}
const issue = { action: 'opened', issue: { number: 1, title: 'Größe' } }

const event = (name: string, payload: object, more: object = {}): Answered => ({
  status: 200,
  body: '',
  outcome: { kind: 'event', integration: 'support', event: name, payload, usedPreviousSecret: false, ...more },
})
const rejected = (status: number, reason: string): Answered => ({
  status,
  body: '',
  outcome: { kind: 'rejected', reason },
})

/** A row of the table: what is sent, and what has to come of it. */
export interface Case {
  readonly sent: Sent
  readonly expected: Answered
}

/** The table. @param githubId the id of the integration of GitHub */
export const cases = (githubId: string): Record<string, Case> => ({
  event: { sent: slack(slackEvent(message)), expected: event('message', envelope) },
  'previous secret': {
    sent: slack(slackEvent(message), secrets.previous),
    expected: event('message', envelope, { usedPreviousSecret: true }),
  },
  'bytes beyond ASCII': {
    sent: slack(slackEvent(beyondAscii)),
    expected: event('message', { ...envelope, event: beyondAscii }),
  },
  'form of an interaction': {
    sent: slack(new URLSearchParams({ payload: JSON.stringify(interaction) }).toString(), secrets.current, form),
    expected: event('block_actions', interaction),
  },
  url_verification: {
    sent: slack(JSON.stringify({ type: 'url_verification', token: 't', challenge: '3eZbrw1aBm2rZ' })),
    expected: { status: 200, body: '3eZbrw1aBm2rZ', outcome: { kind: 'handled', detail: 'url_verification' } },
  },
  GitHub: {
    sent: github(githubId, JSON.stringify(issue)),
    expected: event('issues', issue, { integration: 'repository' }),
  },
  'GitHub, the same again': {
    sent: github(githubId, JSON.stringify(issue)),
    expected: { status: 200, body: '', outcome: { kind: 'ignored', reason: 'duplicate' } },
  },
  'unknown integration': {
    sent: github('nothing', JSON.stringify(issue)),
    expected: rejected(401, 'unknown_integration'),
  },
  'wrong signature': {
    sent: slack(slackEvent(message), signingSecret(9)),
    expected: rejected(401, 'signature_mismatch'),
  },
  'no signature': {
    sent: { path: '/slack', headers: { 'Content-Type': 'application/json' }, body: '{}' },
    expected: rejected(401, 'signature_missing'),
  },
  'too large': {
    sent: slack(slackEvent({ ...message, text: 'a'.repeat(1_100_000) })),
    expected: rejected(413, 'too_large'),
  },
})

/** A request whose body a parser reads before the receiver does. */
export const consumed = (): Case => ({
  sent: slack(slackEvent(message)),
  expected: rejected(500, 'body_consumed'),
})

/** Sends a request. @param path another than its own */
export const post = ({ path: own, headers, body }: Sent, port: number, path = own) =>
  new Promise<Pick<Answered, 'status' | 'body'>>((done, failed) => {
    const length = { 'Content-Length': Buffer.byteLength(body) }
    const options = { host: '127.0.0.1', port, path, method: 'POST', headers: { ...headers, ...length } }
    const sent = send(options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
      response.on('end', () => done({ status: response.statusCode ?? 0, body: text }))
      response.on('error', failed)
    })
    sent.on('error', failed).end(body)
  })
