import { type Json, type JsonObject, jsonOf, objectOf } from '../json.ts'
import { codeOf } from './http.ts'
import {
  configOf,
  isForm,
  listOf,
  type ParsedWebhook,
  type Recipient,
  textOf,
  type WebhookRequest,
} from './platform.ts'
import { formField, textsAt } from './unverified.ts'

const text = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined)

/** The fields of a body: events are JSON, commands are forms, and interactions are JSON in a form. */
function fieldsOf(request: WebhookRequest): JsonObject {
  const body = textOf(request)
  if (!isForm(request)) return objectOf(jsonOf(body)) ?? {}
  const form = Object.fromEntries(new URLSearchParams(body))
  return form.payload === undefined ? form : (objectOf(jsonOf(form.payload)) ?? {})
}

/** Each id that a request claims is looked up. */
const maxClaimedIds = 4

// In a channel that several organizations share, the team may not be the team with the app.
const idPaths = [
  ...['authorizations.0.team_id', 'authorizations.0.enterprise_id', 'view.app_installed_team_id'],
  ...['team_id', 'enterprise_id', 'team.id', 'enterprise.id'],
]

const appPath = 'api_app_id'
const unverifiedTexts = textsAt([...idPaths, appPath])

/** The ids of teams and enterprises, which interactions call by other names than events, and that of the app. */
export function claims(request: WebhookRequest): { ids: string[]; app: string | undefined } {
  const form = isForm(request) ? textOf(request) : undefined
  const payload = form === undefined ? request.body : Buffer.from(formField(form, 'payload') ?? '')
  const texts = unverifiedTexts(payload)
  const textAt = (path: string) => (form && payload.length === 0 ? formField(form, path) : texts.get(path))
  const app = textAt(appPath)
  return {
    ids: [...new Set(idPaths.flatMap((path) => textAt(path) || []))].slice(0, maxClaimedIds),
    app: app !== undefined && isAppId(app) ? app : undefined,
  }
}

const isAppId = (id: string) => /^A[A-Z0-9]{1,30}$/.test(id)

// Messages that people write; the other subtypes are changes.
const written = new Set(['file_share', 'thread_broadcast', 'me_message'])

// An app subscribes to messages under other names than those in the events.
const subscriptions: { readonly [channelType: string]: string } = {
  channel: 'message.channels',
  group: 'message.groups',
  im: 'message.im',
  mpim: 'message.mpim',
  app_home: 'message.app_home',
}

/** Whether a request is Slack's check of the TLS of an address, which has no signature. */
export const isTlsCheck = (request: WebhookRequest): boolean => isForm(request) && fieldsOf(request).ssl_check === '1'

/** Reads a request of Slack with a valid signature. */
export function readWebhook(request: WebhookRequest, recipient: Recipient): ParsedWebhook {
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
    payload,
  }
  const event = payload.type === 'event_callback' ? objectOf(payload.event) : undefined
  if (!event) {
    const name = text(payload.type) ?? (text(payload.command) === undefined ? null : 'slash_command')
    return { kind: 'event', event: { ...envelope, name }, unwanted: null, revoked: null }
  }
  const name = text(event.type) ?? null
  const revokes = name === 'app_uninstalled' || (name === 'tokens_revoked' && ofBot(event, recipient))
  if (!revokes)
    return {
      kind: 'event',
      event: { ...envelope, name },
      unwanted: unwanted(name, event, payload, recipient),
      revoked: null,
    }
  // A workspace of an organization may lose the app while the organization, which the event names too, keeps the app.
  const concerned = recipient.slackTeamId === installationOf(payload)
  const at = new Date(typeof payload.event_time === 'number' ? payload.event_time * 1000 : Number.NaN)
  return {
    kind: 'event',
    event: { ...envelope, name },
    unwanted: concerned ? null : 'event',
    revoked: concerned ? { at: Number.isNaN(at.getTime()) ? null : at } : null,
  }
}

/** The team or enterprise in which the app was installed that an event is about. */
function installationOf(payload: JsonObject): string | undefined {
  const { team_id, enterprise_id, authorizations, is_enterprise_install } = payload
  // In a channel that several organizations share, the team of the event may not be the team with the app.
  const installation = objectOf(Array.isArray(authorizations) ? authorizations[0] : undefined) ?? {}
  const team = text(installation.team_id) ?? text(team_id)
  const enterprise = text(installation.enterprise_id) ?? text(enterprise_id)
  const isOfEnterprise = (installation.is_enterprise_install ?? is_enterprise_install) === true
  return isOfEnterprise ? (enterprise ?? team) : (team ?? enterprise)
}

function unwanted(name: string | null, event: JsonObject, payload: JsonObject, { config, slackBotUserId }: Recipient) {
  const isWritten = name === 'message' || name === 'app_mention'
  if (isOwn(name, event, payload, slackBotUserId)) return 'bot'
  if (isWritten) {
    const isOfBot = event.bot_id !== undefined || event.subtype === 'bot_message'
    if (isOfBot && configOf(config).slackOtherBots !== true) return 'bot'
    const subtype = event.subtype === 'bot_message' ? undefined : event.subtype
    if (subtype !== undefined && !written.has(text(subtype) ?? '')) return 'subtype'
  }
  const events = listOf(config, 'slackEvents')
  const subscription = name === 'message' ? subscriptions[text(event.channel_type) ?? ''] : undefined
  if (events && !events.some((one) => one === name || one === subscription)) return 'event'
  const wanted = channelsWanted(config)
  const channels = channelsOf(event)
  return wanted && channels.length > 0 && !channels.some((one) => wanted.includes(one)) ? 'channel' : null
}

// What Slack's own library passes on, too: that the bot came into a channel, or left one.
const ownNews = new Set(['member_joined_channel', 'member_left_channel'])

/** Whether the bot of an integration, or its app, did what an event tells: an application that acts on that goes in circles. */
function isOwn(name: string | null, event: JsonObject, payload: JsonObject, slackBotUserId: string | null): boolean {
  const [authorization] = Array.isArray(payload.authorizations) ? payload.authorizations : []
  const { user_id, is_bot } = objectOf(authorization) ?? {}
  const bot = slackBotUserId ?? (is_bot === true ? user_id : undefined)
  if (text(bot) !== undefined && (event.user === bot || event.user_id === bot)) return !ownNews.has(name ?? '')
  const app = text(event.app_id) ?? text(objectOf(event.bot_profile)?.app_id)
  return event.bot_id !== undefined && app !== undefined && app === payload.api_app_id
}

/** The channels to listen to; undefined for all. */
function channelsWanted(config: Json): string[] | undefined {
  const { slackChannels } = configOf(config)
  if (!Array.isArray(slackChannels)) return undefined
  return slackChannels.flatMap((one) => text(objectOf(one)?.id) ?? [])
}

const holders = ['item', 'message', 'assistant_thread', 'container', 'file', 'invite_request']

/** The channels that an event is about. Kinds of events name them in fields of their own. */
function channelsOf(event: JsonObject): string[] {
  const named = [event, ...holders.map((key) => objectOf(event[key]) ?? {})].flatMap((holder) => {
    const { channel, channel_id, old_channel_id, new_channel_id } = holder
    // Files may be in several.
    const { channel_ids, channels, groups, ims } = holder
    return [
      ...[channel, objectOf(channel)?.id, channel_id, old_channel_id, new_channel_id],
      ...[channel_ids, channels, groups, ims].flatMap((list) => (Array.isArray(list) ? list : [])),
    ]
  })
  return named.filter((id) => typeof id === 'string')
}

/** Whether the revoked tokens include the bot token of an integration. */
function ofBot({ tokens }: JsonObject, { slackBotUserId }: Recipient): boolean {
  const { bot, oauth } = objectOf(tokens) ?? {}
  const users = [bot, oauth].flatMap((list) => (Array.isArray(list) ? list : []))
  return slackBotUserId === null ? Array.isArray(bot) && bot.length > 0 : users.includes(slackBotUserId)
}

/** Bodies that try an endpoint. */
export const samples = {
  url_verification: (_: unknown, now: Date): string =>
    JSON.stringify({ type: 'url_verification', challenge: `challenge-${now.getTime()}` }),
  message: messageSample,
}

/** A message that somebody wrote, in a channel that the integration listens to. */
function messageSample({ config, slackTeamId, slackBotUserId }: Recipient, now: Date): string {
  const team = slackTeamId ?? 'T0000000000'
  const seconds = Math.floor(now.getTime() / 1000)
  const ts = `${seconds}.000100`
  const [channel] = channelsWanted(config) ?? []
  const isOrganization = team.startsWith('E')
  const enterprise_id = isOrganization ? team : null
  const team_id = isOrganization ? 'T0000000000' : team
  return JSON.stringify({
    type: 'event_callback',
    team_id,
    ...(isOrganization ? { enterprise_id } : {}),
    api_app_id: 'A0000000000',
    event_id: `Ev${now.getTime()}`,
    event_time: seconds,
    authorizations: [
      {
        enterprise_id,
        team_id: isOrganization ? null : team,
        user_id: slackBotUserId ?? 'U0000000001',
        is_bot: true,
        is_enterprise_install: isOrganization,
      },
    ],
    is_ext_shared_channel: false,
    event: {
      type: 'message',
      channel: channel ?? 'C0000000000',
      channel_type: 'channel',
      user: 'U0000000000',
      text: 'A sample, sent to try this endpoint.',
      ts,
      event_ts: ts,
      team: team_id,
    },
  })
}
