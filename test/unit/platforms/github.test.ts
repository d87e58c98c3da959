import { describe, expect, test } from 'vitest'
import { type JsonObject, objectOf } from '../../../src/json.ts'
import { checkShape } from '../../../src/operations/secrets/values.ts'
import { github } from '../../../src/platforms/github.ts'
import { eventOf } from '../../../src/platforms/github-webhooks.ts'
import type { Answer, Question } from '../../../src/platforms/http.ts'
import type { Recipient } from '../../../src/platforms/platform.ts'
import { Secret } from '../../../src/secret.ts'
import payloads from './github-payloads.json' with { type: 'json' }

const token = (prefix: string) => new Secret([prefix, 'a'.repeat(36)].join(''))

describe('what GitHub sends', () => {
  const opened = { action: 'opened', issue: { number: 1 } }
  const wants = (...githubEvents: string[]) => ({ githubEvents })
  const wrapped = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
  const event = (name: string, id: string | null, payload: object, unwanted: 'event' | null = null) => ({
    kind: 'event',
    event: { name, id, retry: null, payload },
    unwanted,
    revoked: null,
  })

  test.each<[string, string, Record<string, string>, JsonObject | null, object]>([
    [
      'an event',
      JSON.stringify(opened),
      { 'x-github-event': 'issues', 'x-github-delivery': 'd1' },
      null,
      event('issues', 'd1', opened),
    ],
    [
      'one in a form',
      `payload=${encodeURIComponent(JSON.stringify(opened))}`,
      { ...wrapped, 'x-github-event': 'issues' },
      null,
      event('issues', null, opened),
    ],
    ['a form without it', 'a=1', { ...wrapped, 'x-github-event': 'issues' }, null, { kind: 'malformed' }],
    ['a wanted event', '{}', { 'x-github-event': 'push' }, wants('issues', 'push'), event('push', null, {})],
    ['another', '{}', { 'x-github-event': 'push' }, wants('issues'), event('push', null, {}, 'event')],
    [
      'a wanted action',
      JSON.stringify(opened),
      { 'x-github-event': 'issues' },
      wants('issues.opened'),
      event('issues', null, opened),
    ],
    [
      'another action',
      JSON.stringify(opened),
      { 'x-github-event': 'issues' },
      wants('issues.closed'),
      event('issues', null, opened, 'event'),
    ],
    [
      'a ping, whatever is wanted',
      '{"zen":"x"}',
      { 'x-github-event': 'ping' },
      wants(),
      { kind: 'answer', reason: 'ping', body: '' },
    ],
    ['none that has a name', '{}', {}, null, { kind: 'malformed' }],
    ['no object', '[]', { 'x-github-event': 'push' }, null, { kind: 'malformed' }],
    ['no JSON', '{', { 'x-github-event': 'push' }, null, { kind: 'malformed' }],
  ])('%s', (_, body, headers, config, expected) => {
    const request = { headers: new Headers(headers), body: Buffer.from(body) }
    expect(github.webhooks.read(request, { config } as Recipient)).toEqual(expected)
  })
})

/** A payload of the fields that a text lists, as in `action=opened issue alert.secret_type`. */
function payloadOf(fields: string): JsonObject {
  const payload: JsonObject = {}
  for (const field of fields.split(' ')) {
    const [path = '', value] = field.split('=')
    const [outer = '', inner] = path.split('.')
    payload[outer] = value ?? (inner === undefined ? {} : { ...objectOf(payload[outer]), [inner]: null })
  }
  return payload
}

const bytesOf = (payload: object) => Buffer.from(JSON.stringify(payload))

// Of every example in @octokit/webhooks-examples 7.6.1, the names of the fields and the action.
test.each(Object.entries(payloads))('the examples of %s tell their event', (event, examples) => {
  expect(examples.map((fields) => [fields, eventOf(bytesOf(payloadOf(fields)))])).toEqual(
    examples.map((fields) => [fields, event]),
  )
})

test.each<[string | undefined, string]>([
  ['star', 'action=deleted starred_at repository sender'],
  ['deployment_status', 'action=created check_run deployment deployment_status workflow_run repository'],
  ['deployment_review', 'action=approved approver reviewers since workflow_run repository'],
  ['deployment_protection_rule', 'action=requested environment deployment_callback_url deployment pull_requests'],
  ['sub_issues', 'action=sub_issue_added sub_issue sub_issue_repo parent_issue parent_issue_id'],
  ['issue_dependencies', 'action=blocking_added blocked_issue blocked_issue_repo blocking_issue'],
  ['branch_protection_configuration', 'action=enabled repository sender'],
  ['security_and_analysis', 'changes repository sender'],
  ['custom_property', 'action=created definition organization'],
  ['custom_property_values', 'action=updated new_property_values old_property_values repository'],
  ['installation_target', 'action=renamed account changes target_type installation'],
  ['personal_access_token_request', 'action=denied personal_access_token_request organization'],
  ['secret_scanning_scan', 'action=completed type source started_at completed_at repository'],
  ['registry_package', 'action=published registry_package repository'],
  // An event that is not known, and what does not name one.
  [undefined, 'action=created novelty repository sender'],
  [undefined, 'novelty repository'],
  [undefined, 'action=created sender'],
  [undefined, 'sender'],
])('%s is the event of %s', (event, fields) => {
  const payload = payloadOf(fields)
  expect(eventOf(bytesOf(payload))).toBe(event)
  expect(eventOf(Buffer.from(new URLSearchParams({ payload: JSON.stringify(payload) }).toString()))).toBe(event)
})

test.each(['[]', '{', 'a=1', ''])('%j has no event', (text) => {
  expect(eventOf(Buffer.from(text))).toBe(undefined)
})

test('its API is asked for the user of the token', async () => {
  const asked: [string, Question][] = []
  const ask = async (path: string, question: Question): Promise<Answer> => {
    asked.push([path, question])
    return { answered: true, status: 200, headers: new Headers(), text: '{"login":"ana"}' }
  }
  expect(await github.api.check(ask, token('ghp_'))).toEqual({ verdict: 'ok', code: null })
  expect(asked).toEqual([
    [
      'user',
      {
        method: 'GET',
        headers: {
          authorization: `Bearer ${token('ghp_').reveal()}`,
          accept: 'application/vnd.github+json',
          'x-github-api-version': '2022-11-28',
        },
      },
    ],
  ])
})

test.each<[string, string, string | undefined]>([
  ['in UTC', '2036-01-31 12:00:00 UTC', '2036-01-31T12:00:00.000Z'],
  ['with an offset', '2036-01-31 12:00:00 -0800', '2036-01-31T20:00:00.000Z'],
  ['of another form', '31 Jan 2036', undefined],
  ['that does not exist', '2036-13-31 12:00:00 UTC', undefined],
])('an expiry %s', async (_, text, expected) => {
  const headers = new Headers({ 'github-authentication-token-expiration': text })
  const ask = async () => ({ answered: true, status: 200, headers, text: '{"login":"acme"}' }) as const
  const { expiresAt } = await github.api.check(ask, token('ghp_'))
  expect(expiresAt?.toISOString()).toBe(expected)
})

test('tokens have their shapes', () => {
  for (const prefix of ['ghp_', 'gho_', 'ghu_', 'ghs_', 'github_pat_'])
    expect(checkShape(github, 'accessToken', { value: token(prefix), forceShape: false })).toEqual([])
  expect(() => checkShape(github, 'accessToken', { value: token('ghr_'), forceShape: false })).toThrow(
    'not be a refresh token',
  )
  expect(() => checkShape(github, 'accessToken', { value: token('glpat-'), forceShape: false })).toThrow(
    'should start with ghp_',
  )
})
