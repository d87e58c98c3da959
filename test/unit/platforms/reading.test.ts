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

const callback = (event: object) => ({ type: 'event_callback', team_id: 'T1', event_id: 'Ev1', event })
const said = (more: object = {}) =>
  callback({ type: 'message', channel: 'C1', channel_type: 'channel', user: 'U1', text: 'hi', ...more })

describe('what Slack sends', () => {
  const channels = { slackChannels: [{ id: 'C1', name: 'help' }] }
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
    ['a reaction of the bot', callback({ type: 'reaction_added', user: 'U0BOT' }), null, 'reaction_added'],
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
