import { createHmac } from 'node:crypto'

/** A body as Slack sends it. */
export const slackEvent = (event: object, more: object = {}): string =>
  JSON.stringify({ type: 'event_callback', team_id: 'T012AB3CD', api_app_id: 'A1', event_id: 'Ev1', event, ...more })

/** A message that somebody wrote. */
export const message = { type: 'message', channel: 'C024BE91L', channel_type: 'channel', user: 'U1', text: 'hi' }

/** The headers with which Slack sends a body, written here once more and not with the program's own code. */
export function slackHeaders(secret: string, body: string, at = Math.floor(Date.now() / 1000)): Record<string, string> {
  const digest = createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')
  return {
    'content-type': 'application/json',
    'x-slack-request-timestamp': String(at),
    'x-slack-signature': `v0=${digest}`,
  }
}

/** A request as the web has it. */
export const request = (body: string, headers: Record<string, string>): Request =>
  new Request('http://localhost/', { method: 'POST', body, headers })

/** A request as Slack sends it. */
export const fromSlack = (secret: string, body = slackEvent(message)): Request =>
  request(body, slackHeaders(secret, body))

/** A request as Pylon sends it. */
export const fromPylon = (secret: string, body: string): Request =>
  request(body, { 'x-pylon-signature': createHmac('sha256', secret).update(body).digest('hex') })
