import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/json.ts'
import type { ParsedWebhook, Recipient, WebhookRequest } from '../../../src/platforms/platform.ts'
import { pylon } from '../../../src/platforms/pylon.ts'
import { slack } from '../../../src/platforms/slack.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

const requestOf = (body: unknown, headers: Record<string, string> = {}): WebhookRequest => ({
  headers: new Headers(headers),
  body: Buffer.from(
    typeof body === 'string'
      ? body
      : headers === form
        ? new URLSearchParams(body as Record<string, string>).toString()
        : JSON.stringify(body),
  ),
})

const recipient = (config: JsonObject | null = null, more: Partial<Recipient> = {}): Recipient => ({
  config,
  slackTeamId: 'T1',
  slackTeamName: null,
  slackBotUserId: 'U0BOT',
  pylonAccountId: null,
  ...more,
})

/** What is told of a reading, in short: its kind or name, and then what it is not as usual. */
function told(reading: ParsedWebhook): unknown {
  if (reading.kind === 'malformed') return 'malformed'
  if (reading.kind === 'answer') return `answer ${reading.reason}: ${reading.body}`
  const { event, unwanted, revoked } = reading
  return [event.name, ...(unwanted ? [`unwanted: ${unwanted}`] : []), ...(revoked ? ['revoked'] : [])].join(', ')
}

const callback = (event: object) => ({
  type: 'event_callback',
  team_id: 'T1',
  api_app_id: 'A1',
  event_id: 'Ev1',
  event,
})
const said = (more: object = {}) =>
  callback({ type: 'message', channel: 'C1', channel_type: 'channel', user: 'U1', text: 'hi', ...more })

describe('what Slack sends', () => {
  const channels = { slackChannels: [{ id: 'C1', name: 'help' }] }
  const bots = { slackOtherBots: true }
  test.each<[string, unknown, JsonObject | null, unknown]>([
    ['a check of the address', { type: 'url_verification', challenge: 'abc' }, null, 'answer url_verification: abc'],
    ['one without a challenge', { type: 'url_verification', challenge: 7 }, null, 'malformed'],
    ['a message', said(), null, 'message'],
    ['no JSON', '{', null, 'malformed'],
    ['JSON that is no object', '[]', null, 'malformed'],
    ['nothing', '', null, 'malformed'],
    ['an envelope without an event', { type: 'event_callback' }, null, 'event_callback'],
    ['a bot’s message', said({ bot_id: 'B1' }), null, 'message, unwanted: bot'],
    ['a bot’s message by its subtype', said({ subtype: 'bot_message' }), null, 'message, unwanted: bot'],
    ['its own message', said({ user: 'U0BOT' }), null, 'message, unwanted: bot'],
    ['a mention by a bot', callback({ type: 'app_mention', bot_id: 'B1' }), null, 'app_mention, unwanted: bot'],
    ['its own reaction', callback({ type: 'reaction_added', user: 'U0BOT' }), null, 'reaction_added, unwanted: bot'],
    ['its own file', callback({ type: 'file_shared', user_id: 'U0BOT' }), null, 'file_shared, unwanted: bot'],
    ['that it joined', callback({ type: 'member_joined_channel', user: 'U0BOT' }), null, 'member_joined_channel'],
    ['that it left', callback({ type: 'member_left_channel', user: 'U0BOT' }), null, 'member_left_channel'],
    [
      'a reaction to what it wrote',
      callback({ type: 'reaction_added', user: 'U1', item_user: 'U0BOT' }),
      null,
      'reaction_added',
    ],
    [
      'another bot’s message, which is wanted',
      said({ user: 'U2', bot_id: 'B2', bot_profile: { app_id: 'A2' } }),
      bots,
      'message',
    ],
    [
      'a message of the old kind of bot',
      said({ user: undefined, bot_id: 'B2', subtype: 'bot_message' }),
      bots,
      'message',
    ],
    ['another bot’s mention', callback({ type: 'app_mention', user: 'U2', bot_id: 'B2' }), bots, 'app_mention'],
    ['another bot’s change', said({ bot_id: 'B2', subtype: 'message_changed' }), bots, 'message, unwanted: subtype'],
    ['its own, where others are wanted', said({ user: 'U0BOT', bot_id: 'B1' }), bots, 'message, unwanted: bot'],
    [
      'its own, by its app',
      said({ user: undefined, bot_id: 'B1', bot_profile: { app_id: 'A1' } }),
      bots,
      'message, unwanted: bot',
    ],
    [
      'its own, by its app again',
      said({ user: undefined, bot_id: 'B1', app_id: 'A1' }),
      bots,
      'message, unwanted: bot',
    ],
    [
      'another bot’s, where the setting is none',
      said({ bot_id: 'B2' }),
      { slackOtherBots: 'yes' },
      'message, unwanted: bot',
    ],
    ['a change of a message', said({ subtype: 'message_changed' }), null, 'message, unwanted: subtype'],
    ['a subtype that is none', said({ subtype: 7 }), null, 'message, unwanted: subtype'],
    ['a file', said({ subtype: 'file_share' }), null, 'message'],
    ['an answer shown in the channel', said({ subtype: 'thread_broadcast' }), null, 'message'],
    ['/me', said({ subtype: 'me_message' }), null, 'message'],
    ['a wanted channel', said(), channels, 'message'],
    ['another channel', said({ channel: 'C2' }), channels, 'message, unwanted: channel'],
    [
      'another channel, as an object',
      callback({ type: 'channel_rename', channel: { id: 'C2' } }),
      channels,
      'channel_rename, unwanted: channel',
    ],
    [
      'a reaction in another channel',
      callback({ type: 'reaction_added', item: { channel: 'C2' } }),
      channels,
      'reaction_added, unwanted: channel',
    ],
    [
      'a file in another channel',
      callback({ type: 'file_shared', channel_id: 'C2', file_id: 'F1' }),
      channels,
      'file_shared, unwanted: channel',
    ],
    [
      'an assistant’s thread in another channel',
      callback({ type: 'assistant_thread_started', assistant_thread: { channel_id: 'D2' } }),
      channels,
      'assistant_thread_started, unwanted: channel',
    ],
    [
      'a wanted channel that gets another id',
      callback({ type: 'channel_id_changed', old_channel_id: 'C1', new_channel_id: 'C2' }),
      channels,
      'channel_id_changed',
    ],
    ['what has no channel', callback({ type: 'team_join' }), channels, 'team_join'],
    ['no channel is wanted', said(), { slackChannels: [] }, 'message, unwanted: channel'],
    ['a config that is not one', said(), { slackChannels: 'C2', slackEvents: 'x' }, 'message'],
    ['a wanted event', said(), { slackEvents: ['message'] }, 'message'],
    ['one by its subscription', said(), { slackEvents: ['message.channels'] }, 'message'],
    ['one of another subscription', said(), { slackEvents: ['message.im'] }, 'message, unwanted: event'],
    ['one in a private conversation', said({ channel_type: 'im' }), { slackEvents: ['message.im'] }, 'message'],
    ['another event', callback({ type: 'team_join' }), { slackEvents: ['message'] }, 'team_join, unwanted: event'],
    ['that the app is gone', callback({ type: 'app_uninstalled' }), { slackEvents: [] }, 'app_uninstalled, revoked'],
    [
      'the bot’s token is revoked',
      callback({ type: 'tokens_revoked', tokens: { bot: ['U0BOT'] } }),
      { slackEvents: [] },
      'tokens_revoked, revoked',
    ],
    [
      'somebody else’s token is revoked',
      callback({ type: 'tokens_revoked', tokens: { oauth: ['U1'], bot: ['U2'] } }),
      null,
      'tokens_revoked',
    ],
    [
      'an invitation to another channel',
      callback({ type: 'invite_requested', invite_request: { channel_ids: ['C2'] } }),
      channels,
      'invite_requested, unwanted: channel',
    ],
    [
      'an invitation to a wanted channel too',
      callback({ type: 'invite_requested', invite_request: { channel_ids: ['C2', 'C1'] } }),
      channels,
      'invite_requested',
    ],
    [
      'another channel that gets another id',
      callback({ type: 'channel_id_changed', old_channel_id: 'C2', new_channel_id: 'C3' }),
      channels,
      'channel_id_changed, unwanted: channel',
    ],
    [
      'a file that was in other channels',
      callback({ type: 'file_change', file: { channels: ['C2'], groups: [], ims: [] } }),
      channels,
      'file_change, unwanted: channel',
    ],
    [
      'a file that is in none that is named',
      callback({ type: 'file_change', file: { id: 'F1' } }),
      channels,
      'file_change',
    ],
    [
      'a file that is deleted in other channels',
      callback({ type: 'file_deleted', channel_ids: ['C2', 'C3'] }),
      channels,
      'file_deleted, unwanted: channel',
    ],
    [
      'one that is deleted in a wanted channel too',
      callback({ type: 'file_deleted', channel_ids: ['C2', 'C1'] }),
      channels,
      'file_deleted',
    ],
    ['tokens are revoked that are none', callback({ type: 'tokens_revoked', tokens: 'U0BOT' }), null, 'tokens_revoked'],
  ])('%s', (_, body, config, expected) => {
    expect(told(slack.webhooks.read(requestOf(body), recipient(config)))).toBe(expected)
  })

  // Each event that @slack/types 3.2.0 gives a channel, with the field that holds the channel.
  const channelFields = {
    channel:
      'agent_session_stopped agent_session_title_changed app_context_changed app_home_opened app_mention channel_archive channel_deleted channel_history_changed channel_left channel_shared channel_unarchive channel_unshared entity_details_requested group_archive group_close group_deleted group_history_changed group_left group_open group_unarchive im_close im_history_changed im_open link_shared member_joined_channel member_left_channel message',
    'channel.id':
      'channel_created channel_rename group_rename im_created shared_channel_invite_accepted shared_channel_invite_approved shared_channel_invite_declined shared_channel_invite_received',
    channel_id:
      'call_rejected file_shared file_unshared message_metadata_deleted message_metadata_posted message_metadata_updated pin_added pin_removed shared_channel_invite_requested',
    'item.channel': 'pin_added pin_removed reaction_added reaction_removed star_added star_removed',
    'assistant_thread.channel_id': 'assistant_thread_context_changed assistant_thread_started',
    old_channel_id: 'channel_id_changed',
    'channel_ids.0': 'file_deleted',
    'invite_request.channel_ids.0': 'invite_requested',
  }
  test.each(
    Object.entries(channelFields).flatMap(([field, names]) => names.split(' ').map((name) => [name, field] as const)),
  )('%s passes in a wanted channel alone (%s)', (type, field) => {
    const inChannel = (id: string) => {
      const holder = field
        .split('.')
        .reduceRight<unknown>((inner, key) => (key === '0' ? [inner] : { [key]: inner }), id)
      return told(slack.webhooks.read(requestOf(callback({ type, ...Object(holder) })), recipient(channels)))
    }
    expect([inChannel('C1'), inChannel('C2')]).toEqual([type, `${type}, unwanted: channel`])
  })

  test('without its id, the bot is the one that the envelope names', () => {
    const read = (event: object, authorization: object) =>
      told(
        slack.webhooks.read(
          requestOf({ ...callback(event), authorizations: [{ team_id: 'T1', user_id: 'U9', ...authorization }] }),
          recipient(null, { slackBotUserId: null }),
        ),
      )
    const own = { type: 'reaction_added', user: 'U9' }
    expect([
      read(own, { is_bot: true }),
      read(own, { is_bot: false }),
      read({ ...own, user: 'U1' }, { is_bot: true }),
    ]).toEqual(['reaction_added, unwanted: bot', 'reaction_added', 'reaction_added'])
  })

  const grid = (more: object) => ({
    ...callback({ type: 'app_uninstalled' }),
    enterprise_id: 'E1',
    authorizations: [{ team_id: 'T1', enterprise_id: 'E1', is_bot: true, is_enterprise_install: false }],
    ...more,
  })
  const orgWide = [{ team_id: null, enterprise_id: 'E1', is_enterprise_install: true }]
  test.each<[string, object, string, string]>([
    ['its workspace', grid({}), 'T1', 'app_uninstalled, revoked'],
    ['a workspace of the organization', grid({}), 'E1', 'app_uninstalled, unwanted: event'],
    ['its workspace, by the ids alone', grid({ authorizations: undefined }), 'T1', 'app_uninstalled, revoked'],
    ['a workspace, by the ids alone', grid({ authorizations: [] }), 'E1', 'app_uninstalled, unwanted: event'],
    ['the organization', grid({ authorizations: orgWide }), 'E1', 'app_uninstalled, revoked'],
    ['the organization of a workspace', grid({ authorizations: orgWide }), 'T1', 'app_uninstalled, unwanted: event'],
    [
      'the organization, by the envelope alone',
      grid({ authorizations: undefined, is_enterprise_install: true }),
      'E1',
      'app_uninstalled, revoked',
    ],
    [
      'the organization, which has no team',
      grid({ team_id: null, authorizations: [] }),
      'E1',
      'app_uninstalled, revoked',
    ],
    [
      'a workspace whose bot it does not know',
      grid({ event: { type: 'tokens_revoked', tokens: { bot: ['U9'] } } }),
      'E1',
      'tokens_revoked, unwanted: event',
    ],
  ])('the app is gone from %s', (_, body, slackTeamId, expected) => {
    const one = recipient(null, { slackTeamId, slackBotUserId: null })
    expect(told(slack.webhooks.read(requestOf(body), one))).toBe(expected)
  })

  test.each([
    ['seconds', 1_790_000_000, new Date('2026-09-21T14:13:20.000Z')],
    ['text', '1790000000', null],
    ['no time', 1e300, null],
  ])('when the app was gone, in %s', (_, event_time, at) => {
    const body = { ...callback({ type: 'app_uninstalled' }), event_time }
    expect(slack.webhooks.read(requestOf(body), recipient())).toMatchObject({ revoked: { at } })
  })

  test('a bot’s token is revoked, and nobody knows which bot it is', () => {
    const body = callback({ type: 'tokens_revoked', tokens: { bot: ['U9'] } })
    expect(told(slack.webhooks.read(requestOf(body), recipient(null, { slackBotUserId: null })))).toBe(
      'tokens_revoked, revoked',
    )
  })

  test.each([
    ['a slash command', { command: '/ask', team_id: 'T1', text: 'a b' }, 'slash_command'],
    ['an interaction', { payload: '{"type":"block_actions","team":{"id":"T1"},"actions":[]}' }, 'block_actions'],
    ['an interaction that is no JSON', { payload: '{' }, 'malformed'],
  ])('%s comes as a form', (_, fields, expected) => {
    expect(told(slack.webhooks.read(requestOf(fields, form), recipient({ slackEvents: [] })))).toBe(expected)
  })

  test('the sample is a message in a channel that is wanted, for its team or organization', () => {
    const wants = { slackChannels: [{ id: 'C7', name: 'help' }] }
    for (const [slackTeamId, ids] of [
      ['T1', ['T1']],
      ['E1', ['E1', 'T0000000000']],
    ] as const) {
      const request = requestOf(slack.webhooks.samples.message(recipient(wants, { slackTeamId }), new Date()))
      expect(told(slack.webhooks.read(request, recipient(wants)))).toBe('message')
      expect(slack.webhooks.tenant.claims(request).ids).toEqual(ids)
    }
  })

  test('an event has its id, its payload, and which attempt it is', () => {
    const body = said()
    const retried = { 'x-slack-retry-num': '2', 'x-slack-retry-reason': 'http_timeout' }
    expect(slack.webhooks.read(requestOf(body, retried), recipient())).toEqual({
      kind: 'event',
      event: { name: 'message', id: 'Ev1', retry: { number: 2, reason: 'http_timeout' }, payload: body },
      unwanted: null,
      revoked: null,
    })
    const odd = { 'x-slack-retry-num': 'two', 'x-slack-retry-reason': '<script>' }
    expect(slack.webhooks.read(requestOf(body, odd), recipient())).toMatchObject({ event: { retry: null } })
  })

  test('only a form that asks for it is a check of TLS', () => {
    const { unsigned } = slack.webhooks
    expect(unsigned(requestOf({ ssl_check: '1', token: 'x' }, form))).toBe('ssl_check')
    expect(unsigned(requestOf({ ssl_check: '0' }, form))).toBe(undefined)
    expect(unsigned(requestOf({ ssl_check: '1' }))).toBe(undefined)
  })

  test.each([
    ['a team', { team_id: 'T1' }, ['T1']],
    ['an enterprise besides', { team_id: 'T1', enterprise_id: 'E1' }, ['T1', 'E1']],
    ['an org install', { team_id: null, enterprise_id: 'E1' }, ['E1']],
    ['the same twice', { team_id: 'E1', enterprise_id: 'E1' }, ['E1']],
    [
      'the team that has the app first',
      { team_id: 'T1', authorizations: [{ team_id: 'T2', enterprise_id: 'E2' }, { team_id: 'T3' }] },
      ['T2', 'E2', 'T1'],
    ],
    ['a view’s', { team: { id: 'T1' }, view: { app_installed_team_id: 'T2' } }, ['T2', 'T1']],
    [
      'four at most',
      {
        authorizations: [{ team_id: 'T1', enterprise_id: 'E1' }],
        team_id: 'T2',
        enterprise_id: 'E2',
        team: { id: 'T3' },
      },
      ['T1', 'E1', 'T2', 'E2'],
    ],
    ['an interaction’s', { team: { id: 'T1' }, enterprise: { id: 'E1' } }, ['T1', 'E1']],
    ['nothing that is one', { team_id: 7, enterprise_id: '', team: 'T1' }, []],
    ['nothing', '', []],
  ])('a body claims %s', (_, body, expected) => {
    expect(slack.webhooks.tenant.claims(requestOf(body)).ids).toEqual(expected)
  })

  test('forms claim theirs', () => {
    const claimed = (request: WebhookRequest) => slack.webhooks.tenant.claims(request).ids
    expect(claimed(requestOf({ team_id: 'T1', command: '/x' }, form))).toEqual(['T1'])
    expect(claimed(requestOf({ payload: '{"team":{"id":"T1"},"enterprise":null}' }, form))).toEqual(['T1'])
  })
})

describe('what Pylon sends', () => {
  const at = (pylonEventPath: string, more: object = {}) => ({ pylonEventPath, ...more })
  test.each<[string, unknown, JsonObject | null, string]>([
    ['a name where most have it', { event_type: 'issue_new', event: 'x' }, null, 'issue_new'],
    ['elsewhere', { event: 'issue.created' }, null, 'issue.created'],
    ['or elsewhere', { type: 'a' }, null, 'a'],
    ['none', { id: 1 }, null, ''],
    ['a body that is no object', [1], null, ''],
    ['one that is no JSON', 'issue', null, 'malformed'],
    ['where the config says', { data: { kind: ['x', 'new'] }, event_type: 'y' }, at('/data/kind/1'), 'new'],
    ['a key with a slash and a tilde', { 'a/b': { '~': 'new' } }, at('/a~1b/~0'), 'new'],
    ['an empty key', { '': 'new' }, at('/'), 'new'],
    ['nothing there', { event_type: 'y' }, at('/data/kind'), ''],
    ['what every object inherits', {}, at('/constructor/name'), ''],
    ['an empty path, as none', { event_type: 'y' }, at(''), 'y'],
    ['a wanted one', { event_type: 'a' }, { pylonEvents: ['a', 'b'] }, 'a'],
    ['another', { event_type: 'c' }, { pylonEvents: ['a', 'b'] }, 'c, unwanted: event'],
    ['none, where some are wanted', {}, { pylonEvents: ['a'] }, ', unwanted: event'],
    ['a wanted one where the config says', { data: { kind: 'a' } }, at('/data/kind', { pylonEvents: ['a'] }), 'a'],
  ])('%s', (_, body, config, expected) => {
    expect(told(pylon.webhooks.read(requestOf(body), recipient(config)))).toBe(expected)
  })

  test('the sample has the wanted event where the config says, beside what is there', () => {
    const config = at('/data/kind', { pylonEvents: ['b', 'a'] })
    const body = pylon.webhooks.samples.issue(recipient(config), new Date(0))
    expect(told(pylon.webhooks.read(requestOf(body), recipient(config)))).toBe('b')
    expect(JSON.parse(body)).toEqual({
      issue_id: '00000000-0000-4000-8000-000000000000',
      issue_number: 1,
      issue_title: 'A sample, sent to try this endpoint.',
      issue_status: 'new',
      sent_at: '1970-01-01T00:00:00.000Z',
      data: {
        id: '00000000-0000-4000-8000-000000000000',
        number: 1,
        title: 'A sample, sent to try this endpoint.',
        state: 'new',
        kind: 'b',
      },
    })
  })
})
