import type { Json } from '../integration.ts'
import { Secret } from '../secret.ts'
import { type Answer, codeOf, parseJson, retryAfter } from './http.ts'
import {
  configOf,
  definePlatform,
  type Finding,
  listOf,
  type ParsedWebhook,
  type Recipient,
  type Renewal,
  type Verdict,
  type WebhookRequest,
} from './platform.ts'

const apps = 'https://api.slack.com/apps'

// Names of the Events API (@slack/types and the published event schemas). New ones appear, so they are suggestions.
const events = `app_context_changed app_deleted app_home_opened app_installed app_mention app_rate_limited app_requested
  app_uninstalled app_uninstalled_team assistant_thread_context_changed assistant_thread_started call_rejected
  channel_archive channel_created channel_deleted channel_history_changed channel_id_changed channel_left channel_rename
  channel_shared channel_unarchive channel_unshared dnd_updated dnd_updated_user email_domain_changed emoji_changed
  entity_details_requested file_change file_comment_added file_comment_deleted file_comment_edited file_created
  file_deleted file_public file_shared file_unshared function_executed grid_migration_finished grid_migration_started
  group_archive group_close group_deleted group_history_changed group_left group_open group_rename group_unarchive
  im_close im_created im_history_changed im_open invite_requested link_shared member_joined_channel member_left_channel
  message message.app_home message.channels message.groups message.im message.mpim message_metadata_deleted
  message_metadata_posted message_metadata_updated pin_added pin_removed reaction_added reaction_removed
  shared_channel_invite_accepted shared_channel_invite_approved shared_channel_invite_declined
  shared_channel_invite_received shared_channel_invite_requested star_added star_removed subteam_created
  subteam_members_changed subteam_self_added subteam_self_removed subteam_updated team_access_granted
  team_access_revoked team_domain_change team_join team_rename tokens_revoked url_verification user_change
  user_huddle_changed user_profile_changed user_status_changed workflow_deleted workflow_published
  workflow_step_deleted workflow_step_execute workflow_unpublished`.split(/\s+/)

/** Slack. A signing secret belongs to the app, and only the app's page can make a new one: no API method does. */
export const slack = definePlatform({
  id: 'slack',
  title: 'Slack',
  secrets: {
    webhookSecret: {
      label: 'signing secret',
      variable: 'SIGNING_SECRET',
      required: true,
      issuer: 'platform',
      page: apps,
      // Not documented, only seen: https://docs.slack.dev/authentication/verifying-requests-from-slack
      shapes: [{ pattern: /^[0-9a-f]{32}$/, should: 'be 32 lower-case hex digits', otherwise: 'warn' }],
    },
    accessToken: {
      label: 'bot or user token',
      variable: 'BOT_TOKEN',
      required: true,
      issuer: 'platform',
      page: apps,
      // https://docs.slack.dev/authentication/tokens
      shapes: [
        { pattern: /^(?!xox[cd]-)/, should: 'not be a browser session token (xoxc-, xoxd-)', otherwise: 'refuse' },
        { pattern: /^(?!xoxe-)/, should: 'not be a refresh token (xoxe-1-…)', otherwise: 'refuse' },
        { pattern: /^(?!xapp-)/, should: 'not be an app-level token (xapp-…)', otherwise: 'refuse' },
        {
          pattern: /^(?:xoxe\.)?xox[bp]-|^xox[cd]-|^xoxe-|^xapp-|^xwfp-/,
          should: 'start with xoxb-, xoxp-, xoxe.xoxb- or xoxe.xoxp-',
          otherwise: 'refuse',
        },
      ],
    },
    refreshToken: {
      label: 'refresh token',
      variable: 'REFRESH_TOKEN',
      required: false,
      issuer: 'platform',
      page: 'https://docs.slack.dev/authentication/using-token-rotation',
      shapes: [{ pattern: /^xoxe-/, should: 'start with xoxe-1-', otherwise: 'refuse' }],
    },
  },
  ids: {
    // The patterns are those of Slack's own OpenAPI description; an org install puts the enterprise id here.
    slackTeamId: {
      label: 'team or enterprise id',
      shape: { pattern: /^[TE][A-Z0-9]{2,}$/, should: 'start with T or E, as in T012AB3CD', otherwise: 'refuse' },
    },
    slackTeamName: { label: 'team name', renamed: true },
    slackBotUserId: {
      label: 'bot user id',
      shape: { pattern: /^[UW][A-Z0-9]{2,}$/, should: 'start with U or W, as in U012AB3CD', otherwise: 'refuse' },
    },
  },
  config: {
    type: 'object',
    properties: {
      slackChannels: {
        description: 'The channels to listen to; all of them when absent.',
        type: 'array',
        items: {
          type: 'object',
          required: ['id', 'name'],
          properties: {
            id: { type: 'string', pattern: '^[CGD][A-Z0-9]{2,}$', description: 'Conversation id, as in C024BE91L.' },
            name: { type: 'string', minLength: 1, description: 'Channel name, without #.' },
          },
        },
      },
      slackEvents: {
        description: 'The event types to handle; all of them when absent.',
        type: 'array',
        uniqueItems: true,
        items: { type: 'string', minLength: 1, maxLength: 50, examples: events },
      },
    },
  },
  api: {
    url: () => 'https://slack.com/api/',
    reauthorize: apps,

    // https://docs.slack.dev/reference/methods/auth.test
    async check(ask, token) {
      const answer = await ask('auth.test', { method: 'POST', headers: { authorization: `Bearer ${token.reveal()}` } })
      const body = bodyOf(answer)
      if (body?.ok !== true || !answer.answered) return refusal(answer, body)
      const { team, team_id, user_id, bot_id, enterprise_id, is_enterprise_install, expires_in } = body
      const tenant = is_enterprise_install === true ? enterprise_id : team_id
      const scopes = answer.headers.get('x-oauth-scopes')
      return {
        verdict: 'ok',
        code: null,
        ids: {
          ...(typeof tenant === 'string' ? { slackTeamId: tenant } : {}),
          ...(typeof team === 'string' ? { slackTeamName: team } : {}),
          // For a user token, the user is a person.
          ...(typeof user_id === 'string' && typeof bot_id === 'string' ? { slackBotUserId: user_id } : {}),
        },
        ...(scopes === null ? {} : { scopes: scopes.split(/[\s,]+/).filter(Boolean) }),
        ...(lifetime(expires_in) === null ? {} : { expiresIn: lifetime(expires_in) as number }),
      }
    },

    // https://docs.slack.dev/authentication/using-token-rotation: the refresh token that is handed in is revoked.
    async refresh(ask, { id, secret }, refreshToken): Promise<Renewal> {
      const answer = await ask('oauth.v2.access', {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${id}:${secret.reveal()}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken.reveal() }),
      })
      if (!answer.answered) return { outcome: answer.sent ? 'unknown' : 'failed', code: answer.why }
      if (answer.status === 429) return { outcome: 'failed', code: 'ratelimited' }
      const body = bodyOf(answer)
      const code = codeOf(body?.error)
      if (body?.ok === true) {
        const { access_token, refresh_token, expires_in } = body
        if (typeof access_token !== 'string' || access_token === '') return { outcome: 'unknown', code: 'no_token' }
        return {
          outcome: 'renewed',
          accessToken: new Secret(access_token),
          refreshToken: typeof refresh_token === 'string' && refresh_token !== '' ? new Secret(refresh_token) : null,
          expiresIn: lifetime(expires_in),
        }
      }
      if (code !== null && deadRefreshTokens.has(code)) return { outcome: 'refused', code, reauthorize: true }
      if (code !== null && badClients.has(code)) return { outcome: 'refused', code, reauthorize: false }
      if (code === 'ratelimited') return { outcome: 'failed', code }
      return { outcome: 'unknown', code: code ?? `http_${answer.status}` }
    },
  },
  webhooks: {
    // https://docs.slack.dev/authentication/verifying-requests-from-slack. Slack's own library takes any time to come.
    schemes: [
      {
        id: 'v0',
        header: 'x-slack-signature',
        prefix: 'v0=',
        timestamp: { header: 'x-slack-request-timestamp', tolerance: 300, before: (timestamp) => `v0:${timestamp}:` },
      },
    ],
    // Slack sends a few kilobytes.
    largestBody: 1_048_576,
    // An app that is installed in a whole organization has the enterprise's id in the place of a team's.
    tenant: { column: 'slackTeamId', claimed },
    unsigned: (request) => (isForm(request) && fieldsOf(request).ssl_check === '1' ? 'ssl_check' : undefined),
    read,
    samples: {
      url_verification: (_, now) => sample({ type: 'url_verification', challenge: `challenge-${now.getTime()}` }),
      message: ({ slackTeamId }, now) =>
        sample({
          type: 'event_callback',
          team_id: slackTeamId ?? 'T0000000000',
          api_app_id: 'A0000000000',
          event_id: `Ev${now.getTime()}`,
          event_time: Math.floor(now.getTime() / 1000),
          event: {
            type: 'message',
            channel: 'C0000000000',
            channel_type: 'channel',
            user: 'U0000000000',
            text: 'A sample, sent to try this endpoint.',
            ts: `${Math.floor(now.getTime() / 1000)}.000100`,
          },
        }),
    },
  },
})

type Fields = { readonly [field: string]: Json | undefined }

const object = (value: Json | undefined): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined

const text = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined)

/** How long a token lives, in seconds; null for what cannot be meant. */
const lifetime = (seconds: Json | undefined): number | null =>
  typeof seconds === 'number' && seconds > 0 && seconds < 1e9 ? seconds : null

const bodyOf = (answer: Answer) => (answer.answered ? object(parseJson(answer.text)) : undefined)

/** What Slack's refusals mean for a token. https://docs.slack.dev/reference/methods/auth.test#errors */
const verdicts: { readonly [code: string]: Verdict } = Object.fromEntries(
  Object.entries({
    // invalid_auth also stands for an address that is not on the app's list.
    refused: 'invalid_auth token_revoked account_inactive not_authed not_allowed_token_type',
    expired: 'token_expired',
    limited:
      'missing_scope no_permission team_access_not_granted access_denied two_factor_setup_required ekm_access_denied',
    unreachable:
      'ratelimited internal_error fatal_error service_unavailable request_timeout team_added_to_org org_login_required',
  } satisfies { [V in Verdict]?: string }).flatMap(([verdict, codes]) =>
    codes.split(' ').map((code) => [code, verdict as Verdict]),
  ),
)

// invalid_grant with status 400 is what third parties have seen.
const deadRefreshTokens = new Set(['invalid_refresh_token', 'invalid_grant', 'token_revoked', 'token_expired'])
const badClients = new Set(['bad_client_secret', 'invalid_client_id', 'invalid_client', 'invalid_grant_type'])

function refusal(answer: Answer, body: Fields | undefined): Finding {
  if (!answer.answered) return { verdict: 'unreachable', code: answer.why }
  // Slack answers 200 whatever it says, but for this.
  if (answer.status === 429) return { verdict: 'unreachable', code: 'ratelimited', ...retryAfter(answer.headers) }
  const code = codeOf(body?.error)
  if (answer.status >= 500 || code === null)
    return { verdict: answer.status === 200 ? 'unknown' : 'unreachable', code: code ?? `http_${answer.status}` }
  return { verdict: Object.hasOwn(verdicts, code) ? (verdicts[code] as Verdict) : 'unknown', code }
}

const isForm = ({ headers }: WebhookRequest) =>
  /^application\/x-www-form-urlencoded\b/i.test(headers.get('content-type') ?? '')

/** The fields of a body: events are JSON, commands are forms, and interactions are JSON in a form. */
function fieldsOf(request: WebhookRequest): Fields {
  const body = Buffer.from(request.body).toString()
  if (!isForm(request)) return object(parseJson(body)) ?? {}
  const form = Object.fromEntries(new URLSearchParams(body))
  return form.payload === undefined ? form : (object(parseJson(form.payload)) ?? {})
}

/** How many ids are looked up for one request. */
const most = 4

/** Interactions call their team by another name. */
function claimed(request: WebhookRequest): string[] {
  const { team_id, enterprise_id, team, enterprise, authorizations, view } = fieldsOf(request)
  // In a channel that several organizations share, the team can be another than the one that has the app.
  const [first] = Array.isArray(authorizations) ? authorizations : []
  const ids = [
    ...[object(first)?.team_id, object(first)?.enterprise_id, object(view)?.app_installed_team_id],
    ...[team_id, enterprise_id, object(team)?.id, object(enterprise)?.id],
  ]
  return [...new Set(ids.flatMap((id) => (typeof id === 'string' && id !== '' ? [id] : [])))].slice(0, most)
}

// Messages that people write; the other subtypes tell of changes.
const written = new Set(['file_share', 'thread_broadcast', 'me_message'])

// What an app subscribes to is called otherwise than what it is sent.
const subscriptions: { readonly [channelType: string]: string } = {
  channel: 'message.channels',
  group: 'message.groups',
  im: 'message.im',
  mpim: 'message.mpim',
  app_home: 'message.app_home',
}

function read(request: WebhookRequest, recipient: Recipient): ParsedWebhook {
  const payload = fieldsOf(request)
  if (Object.keys(payload).length === 0) return { kind: 'malformed' }
  if (payload.type === 'url_verification')
    return text(payload.challenge) === undefined
      ? { kind: 'malformed' }
      : { kind: 'answer', reason: 'url_verification', body: text(payload.challenge) ?? '' }
  const number = Number(request.headers.get('x-slack-retry-num') ?? Number.NaN)
  const envelope = {
    id: text(payload.event_id) ?? null,
    retry: Number.isSafeInteger(number)
      ? { number, reason: codeOf(request.headers.get('x-slack-retry-reason')) }
      : null,
    payload: payload as Json,
  }
  const event = payload.type === 'event_callback' ? object(payload.event) : undefined
  if (!event) {
    const name = text(payload.type) ?? (text(payload.command) === undefined ? null : 'slash_command')
    return { kind: 'event', event: { ...envelope, name }, unwanted: null, revoked: false }
  }
  const name = text(event.type) ?? null
  const revoked = name === 'app_uninstalled' || (name === 'tokens_revoked' && ofBot(event, recipient))
  return {
    kind: 'event',
    event: { ...envelope, name },
    unwanted: revoked ? null : unwanted(name, event, recipient),
    revoked,
  }
}

function unwanted(name: string | null, event: Fields, { config, slackBotUserId }: Recipient) {
  if (name === 'message' || name === 'app_mention') {
    if (event.bot_id !== undefined || (slackBotUserId !== null && event.user === slackBotUserId)) return 'bot'
    if (event.subtype === 'bot_message') return 'bot'
    if (event.subtype !== undefined && !written.has(text(event.subtype) ?? '')) return 'subtype'
  }
  const events = listOf(config, 'slackEvents')
  const subscription = name === 'message' ? subscriptions[text(event.channel_type) ?? ''] : undefined
  if (events && !events.some((one) => one === name || one === subscription)) return 'event'
  const { slackChannels } = configOf(config)
  const channel = text(event.channel) ?? text(object(event.channel)?.id) ?? text(object(event.item)?.channel)
  const wanted = Array.isArray(slackChannels) ? slackChannels.map((one) => object(one)?.id) : undefined
  return wanted && channel !== undefined && !wanted.includes(channel) ? 'channel' : null
}

/** Whether tokens that were revoked are those of an integration: it holds a bot's. */
function ofBot({ tokens }: Fields, { slackBotUserId }: Recipient): boolean {
  const { bot, oauth } = object(tokens) ?? {}
  const users = [bot, oauth].flatMap((list) => (Array.isArray(list) ? list : []))
  return slackBotUserId === null ? Array.isArray(bot) && bot.length > 0 : users.includes(slackBotUserId)
}

const sample = (body: Json) => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
