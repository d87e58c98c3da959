import { type Json, type JsonObject, jsonOf, objectOf } from '../json.ts'
import { retryAfter, secondsUntil } from './http.ts'
import {
  definePlatform,
  type Finding,
  isForm,
  listOf,
  type ParsedWebhook,
  type Recipient,
  textOf,
  type WebhookRequest,
} from './platform.ts'

const docs = 'https://docs.github.com/en'

/** GitHub: webhooks of repositories and organizations, and personal or OAuth tokens. */
export const github = definePlatform({
  id: 'github',
  title: 'GitHub',
  secrets: {
    webhookSecret: {
      label: 'webhook secret',
      variable: 'WEBHOOK_SECRET',
      required: true,
      // The person who sets up a webhook chooses its secret.
      issuer: 'either',
      page: `${docs}/webhooks/using-webhooks/validating-webhook-deliveries`,
      shapes: [],
    },
    accessToken: {
      label: 'token',
      variable: 'TOKEN',
      required: false,
      issuer: 'platform',
      page: 'https://github.com/settings/tokens',
      // https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
      shapes: [
        { pattern: /^(?!ghr_)/, should: 'not be a refresh token (ghr_…)' },
        {
          pattern: /^(gh[oprsu]_|github_pat_)/,
          should: 'start with ghp_, gho_, ghu_, ghs_ or github_pat_',
        },
      ],
    },
  },
  // None of the columns is GitHub's: the address that a webhook is sent to names the integration.
  ids: {},
  config: {
    type: 'object',
    properties: {
      githubEvents: {
        description: 'The events to handle, with or without an action, as in issues or issues.opened; all when absent.',
        type: 'array',
        uniqueItems: true,
        items: {
          type: 'string',
          pattern: '^[a-z_]+(\\.[a-z_]+)?$',
          examples: ['issue_comment', 'issues', 'issues.opened', 'pull_request', 'push', 'release', 'workflow_run'],
        },
      },
    },
  },
  api: {
    url: () => 'https://api.github.com/',

    // https://docs.github.com/en/rest/users/users#get-the-authenticated-user
    async check(ask, token): Promise<Finding> {
      const authorization = `Bearer ${token.reveal()}`
      const headers = { authorization, accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }
      const answer = await ask('user', { method: 'GET', headers })
      if (!answer.answered) return { verdict: 'unreachable', code: answer.why }
      const { status } = answer
      const code = `http_${status}`
      // A rate limit can be a 403 too: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
      const again = { ...untilReset(answer.headers), ...retryAfter(answer.headers) }
      const exhausted = answer.headers.get('x-ratelimit-remaining') === '0' || answer.headers.has('retry-after')
      if (status === 429 || (status === 403 && exhausted))
        return { verdict: 'unreachable', code: 'ratelimited', ...again }
      if (status >= 500) return { verdict: 'unreachable', code }
      if (status === 401) return { verdict: 'refused', code }
      if (status === 403) return { verdict: 'limited', code }
      const login = objectOf(jsonOf(answer.text))?.login
      if (status !== 200 || typeof login !== 'string') return { verdict: 'unknown', code }
      // Only classic tokens have scopes.
      const scopes = answer.headers.get('x-oauth-scopes')
      return {
        verdict: 'ok',
        code: null,
        ...(scopes === null ? {} : { scopes: scopes.split(/[\s,]+/).filter(Boolean) }),
      }
    },
  },
  webhooks: {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    schemes: [{ id: 'sha256', header: 'x-hub-signature-256', prefix: 'sha256=' }],
    // https://docs.github.com/en/webhooks/webhook-events-and-payloads: payloads are capped at 25 MB.
    maxBodyBytes: 26_214_400,
    read,
    deliveryHeaders,
    samples: {
      ping: () => sample({ zen: 'A sample, sent to try this endpoint.', hook_id: 0 }),
      issues: () => sample({ action: 'opened', issue: { number: 1, title: 'A sample' } }),
    },
  },
})

/** The time until a used-up rate limit is reset. */
function untilReset(headers: Headers): { retryAfterSeconds?: number } {
  const reset = headers.get('x-ratelimit-reset') ?? ''
  const exhausted = headers.get('x-ratelimit-remaining') === '0' && /^\d{1,12}$/.test(reset)
  return exhausted ? secondsUntil(Number(reset) * 1000, headers) : {}
}

/** The payload is the body, or the one field of a form: the webhook's settings choose. */
const payloadIn = (text: string, form: boolean): JsonObject | undefined =>
  objectOf(jsonOf(form ? (new URLSearchParams(text).get('payload') ?? '') : text))

// A payload does not name its event. The first event of which a payload has all fields is taken.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads
const eventFields: readonly (readonly [event: string, ...fields: readonly string[]])[] = [
  ['ping', 'zen'],
  ['push', 'pusher'],
  ['issue_comment', 'issue', 'comment'],
  ['issues', 'issue'],
  ['pull_request_review_comment', 'pull_request', 'comment'],
  ['pull_request_review', 'pull_request', 'review'],
  ['pull_request', 'pull_request'],
  ['discussion_comment', 'discussion', 'comment'],
  ['commit_comment', 'comment'],
  ['fork', 'forkee'],
  ['star', 'starred_at'],
  // Some of these payloads contain the fields of later ones, too.
  ...['discussion', 'release', 'deployment_status', 'workflow_job', 'deployment', 'workflow_run', 'check_run'].map(
    (event) => [event, event] as const,
  ),
]

// https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
function deliveryHeaders(body: Uint8Array): { readonly [header: string]: string } {
  const text = Buffer.from(body).toString()
  const payload = payloadIn(text, false) ?? payloadIn(text, true) ?? {}
  const [event] = eventFields.find(([, ...fields]) => fields.every((field) => Object.hasOwn(payload, field))) ?? []
  return { ...(event ? { 'x-github-event': event } : {}), 'x-github-delivery': crypto.randomUUID() }
}

function read(request: WebhookRequest, { config }: Pick<Recipient, 'config'>): ParsedWebhook {
  const payload = payloadIn(textOf(request), isForm(request))
  // The headers are not signed, so they give the event its name and nothing else.
  const name = request.headers.get('x-github-event')
  if (!payload || name === null) return { kind: 'malformed' }
  if (name === 'ping') return { kind: 'answer', reason: 'ping', body: '' }
  const action = typeof payload.action === 'string' ? `${name}.${payload.action}` : name
  const wanted = listOf(config, 'githubEvents')
  return {
    kind: 'event',
    // A delivery that a person sends again keeps its id; GitHub does not retry.
    event: { name, id: request.headers.get('x-github-delivery'), retry: null, payload },
    unwanted: wanted && !wanted.includes(name) && !wanted.includes(action) ? 'event' : null,
    // Revocations concern apps, and none of these columns names an installation.
    revoked: null,
  }
}

function sample(payload: Json) {
  const body = JSON.stringify(payload)
  return { body, headers: { 'content-type': 'application/json', ...deliveryHeaders(Buffer.from(body)) } }
}
