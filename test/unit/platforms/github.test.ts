import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/json.ts'
import { checkShape } from '../../../src/operations/secrets/values.ts'
import { github } from '../../../src/platforms/github.ts'
import type { Answer, Question } from '../../../src/platforms/http.ts'
import type { Recipient } from '../../../src/platforms/platform.ts'
import { Secret } from '../../../src/secret.ts'

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

const fields = (...names: string[]) => Object.fromEntries(names.map((name) => [name, {}]))

test.each<[string | undefined, object]>([
  ['ping', fields('zen', 'hook_id', 'repository')],
  ['push', fields('ref', 'commits', 'pusher', 'repository')],
  ['issues', fields('action', 'issue', 'label', 'repository')],
  ['issue_comment', fields('action', 'issue', 'comment', 'repository')],
  ['pull_request', fields('action', 'pull_request', 'label')],
  ['pull_request_review', fields('action', 'pull_request', 'review')],
  ['deployment_status', fields('action', 'check_run', 'deployment', 'deployment_status', 'workflow_run')],
  ['release', fields('action', 'release', 'repository')],
  [undefined, fields('action', 'repository')],
  [undefined, []],
])('it sends %s with its headers', (event, payload) => {
  const text = JSON.stringify(payload)
  for (const body of [text, new URLSearchParams({ payload: text }).toString()])
    expect(github.webhooks.deliveryHeaders(Buffer.from(body))).toEqual({
      ...(event === undefined ? {} : { 'x-github-event': event }),
      'x-github-delivery': expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
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
