import { type Json, type JsonObject, jsonOf, objectOf, stepsOf } from '../json.ts'
import { codeOf, retryAfter } from './http.ts'
import {
  configOf,
  definePlatform,
  type Finding,
  listOf,
  noToken,
  type ParsedWebhook,
  textOf,
  type WebhookRequest,
} from './platform.ts'

const tokens = 'https://app.usepylon.com/settings/api-tokens'

/** Pylon (usepylon.com, customer support; not getpylon.com, whose webhook scheme much public code confuses with it). */
export const pylon = definePlatform({
  id: 'pylon',
  title: 'Pylon',
  secrets: {
    webhookSecret: {
      label: 'webhook secret',
      variable: 'WEBHOOK_SECRET',
      required: true,
      // Pylon does not document whether it accepts a value made elsewhere.
      issuer: 'either',
      page: 'https://docs.usepylon.com/pylon-docs/developer/webhooks',
      shapes: [noToken],
    },
    accessToken: {
      label: 'API token',
      variable: 'API_TOKEN',
      required: true,
      issuer: 'platform',
      page: tokens,
      shapes: [noToken],
    },
  },
  ids: {
    // What `GET /me` returns is the organization, the tenant that the token belongs to.
    pylonAccountId: { label: 'organization id' },
  },
  config: {
    type: 'object',
    properties: {
      pylonEvents: {
        description: 'The event names to handle, as your webhook template sends them; all of them when absent.',
        type: 'array',
        uniqueItems: true,
        items: { type: 'string', minLength: 1 },
      },
      pylonEventPath: {
        description: 'JSON pointer (RFC 6901) to the event name in the body, as in /event_type.',
        type: 'string',
        pattern: '^(/([^~/]|~0|~1)*)*$',
      },
      pylonRegion: { description: 'The region of the organization.', enum: ['us', 'eu'] },
      pylonSignature: {
        description: 'What the signature covers: the body, or "<timestamp>.<body>".',
        enum: ['body', 'timestamped'],
      },
    },
  },
  api: {
    // A token works only in its organization's region, which it does not name.
    url: (config) =>
      configOf(config).pylonRegion === 'eu' ? 'https://api.eu.usepylon.com/' : 'https://api.usepylon.com/',

    // https://docs.usepylon.com/pylon-docs/developer/api/api-reference: the organization that a token belongs to
    async check(ask, token): Promise<Finding> {
      const answer = await ask('me', { method: 'GET', headers: { authorization: `Bearer ${token.reveal()}` } })
      if (!answer.answered) return { verdict: 'unreachable', code: answer.why }
      const { status, headers } = answer
      const body = objectOf(jsonOf(answer.text))
      const code = codeOf(body?.code) ?? `http_${status}`
      const id = objectOf(body?.data)?.id
      if (status === 200 && typeof id === 'string') return { verdict: 'ok', code: null, ids: { pylonAccountId: id } }
      if (status === 429) return { verdict: 'unreachable', code, ...retryAfter(headers, 'x-retry-after') }
      if (status >= 500) return { verdict: 'unreachable', code }
      if (code === 'wrong_region_token')
        return { verdict: 'refused', code, reason: 'a token of the other region: set pylonRegion in the config' }
      if (status === 401) return { verdict: 'refused', code }
      if (status === 403) return { verdict: 'limited', code }
      return { verdict: 'unknown', code }
    },
  },
  webhooks: {
    schemeKey: 'pylonSignature',
    schemes: [
      // https://kb.help.usepylon.com/articles/6080966819-how-do-i-verify-the-webhook-signatures
      { id: 'body', header: 'x-pylon-signature', prefix: '' },
      // The scheme of another company called Pylon (getpylon.com), which some senders on Pylon's behalf use.
      {
        id: 'timestamped',
        header: 'pylon-webhook-signature',
        prefix: 'hs256=',
        timestamp: { header: 'pylon-webhook-timestamp', toleranceSeconds: 300, before: (timestamp) => `${timestamp}.` },
        also: { 'pylon-webhook-version': '2021-07' },
      },
    ],
    // Templates are the customer's, and send a few kilobytes.
    maxBodyBytes: 1_048_576,
    read,
    samples: {
      issue: ({ config }, now) => {
        const path = eventPath(config) ?? ['event_type']
        const name = listOf(config, 'pylonEvents')?.[0] ?? 'issue_new'
        const id = '00000000-0000-4000-8000-000000000000'
        const title = 'A sample, sent to try this endpoint.'
        const issue = { id, number: 1, title, state: 'new' }
        // The usual variables of templates: flat, and together as the API has an issue.
        const body = {
          issue_id: id,
          issue_number: 1,
          issue_title: title,
          issue_status: 'new',
          sent_at: now.toISOString(),
          data: issue,
        }
        return JSON.stringify(withValue(body, path, name))
      },
    },
  },
})

function read(request: WebhookRequest, { config }: { readonly config: Json }): ParsedWebhook {
  const payload = jsonOf(textOf(request))
  if (payload === undefined) return { kind: 'malformed' }
  const name = eventName(payload, config)
  const wanted = listOf(config, 'pylonEvents')
  return {
    kind: 'event',
    event: { name, id: null, retry: null, payload },
    unwanted: wanted && !(name !== null && wanted.includes(name)) ? 'event' : null,
    revoked: null,
  }
}

/** Where customers' templates usually put the name of the event. */
const usualNames = ['event_type', 'event', 'type']

function eventName(payload: Json, config: Json): string | null {
  const path = eventPath(config)
  const names = path ? [at(payload, path)] : usualNames.map((name) => at(payload, [name]))
  return names.find((name) => typeof name === 'string') ?? null
}

function eventPath(config: Json): string[] | undefined {
  const pointer = configOf(config).pylonEventPath
  return typeof pointer === 'string' && pointer.startsWith('/') ? stepsOf(pointer) : undefined
}

/** An object with a value at a path, in place of what is there. */
function withValue(object: JsonObject, [step = '', ...more]: readonly string[], value: Json): JsonObject {
  return { ...object, [step]: more.length === 0 ? value : withValue(objectOf(object[step]) ?? {}, more, value) }
}

const at = (value: Json | undefined, steps: readonly string[]): Json | undefined =>
  steps.reduce<Json | undefined>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, step)
        ? (inner as JsonObject)[step]
        : undefined,
    value,
  )
