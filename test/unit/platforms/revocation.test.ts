import { expect, test } from 'vitest'
import { github } from '../../../src/platforms/github.ts'
import type { Answer, Question } from '../../../src/platforms/http.ts'
import { slackApi } from '../../../src/platforms/slack-api.ts'
import { Secret } from '../../../src/secret.ts'

const answered = (status: number, body: unknown = '', headers: Record<string, string> = {}): Answer => ({
  answered: true,
  status,
  headers: new Headers(headers),
  text: typeof body === 'string' ? body : JSON.stringify(body),
})
const slackSays = (error: string) => answered(200, { ok: false, error })
const lost: Answer = { answered: false, sent: true, why: 'timeout' }
const unsent: Answer = { answered: false, sent: false, why: 'connection_refused' }

test.each<[Answer, object]>([
  [answered(200, { ok: true, revoked: true }), { outcome: 'revoked', code: null }],
  [answered(200, { ok: true, revoked: false }), { outcome: 'refused', code: 'not_revoked' }],
  [answered(200, { ok: true }), { outcome: 'unknown', code: 'http_200' }],
  [answered(200, '<html>'), { outcome: 'unknown', code: 'http_200' }],
  [answered(502, { ok: true, revoked: true }), { outcome: 'unknown', code: 'http_502' }],
  [slackSays('token_revoked'), { outcome: 'invalid', code: 'token_revoked' }],
  [slackSays('account_inactive'), { outcome: 'invalid', code: 'account_inactive' }],
  [slackSays('invalid_auth'), { outcome: 'invalid', code: 'invalid_auth', reason: expect.stringContaining('address') }],
  [slackSays('not_allowed_token_type'), { outcome: 'refused', code: 'not_allowed_token_type' }],
  [slackSays('ratelimited'), { outcome: 'failed', code: 'ratelimited' }],
  [slackSays('internal_error'), { outcome: 'unknown', code: 'internal_error' }],
  [slackSays('something_new'), { outcome: 'unknown', code: 'something_new' }],
  [answered(429, '', { 'retry-after': '7' }), { outcome: 'failed', code: 'ratelimited', retryAfterSeconds: 7 }],
  [lost, { outcome: 'unknown', code: 'timeout' }],
  [unsent, { outcome: 'failed', code: 'connection_refused' }],
])('Slack: %j', async (answer, revocation) => {
  const questions: [string, Question][] = []
  const ask = async (path: string, question: Question) => {
    questions.push([path, question])
    return answer
  }
  expect(await slackApi.revoker.revoke(ask, new Secret('a-token'))).toEqual(revocation)
  expect(questions).toEqual([
    ['auth.revoke', { method: 'POST', headers: { authorization: 'Bearer a-token' }, once: true }],
  ])
})

test.each<[Answer, object]>([
  [answered(202), { outcome: 'accepted', code: null }],
  [answered(204), { outcome: 'revoked', code: null }],
  [answered(401), { outcome: 'refused', code: 'http_401' }],
  [answered(403), { outcome: 'refused', code: 'http_403' }],
  [answered(422), { outcome: 'refused', code: 'http_422' }],
  [answered(200), { outcome: 'unknown', code: 'http_200' }],
  [answered(500), { outcome: 'unknown', code: 'http_500' }],
  [answered(403, '', { 'retry-after': '7' }), { outcome: 'failed', code: 'ratelimited', retryAfterSeconds: 7 }],
  [lost, { outcome: 'unknown', code: 'timeout' }],
  [unsent, { outcome: 'failed', code: 'connection_refused' }],
])('GitHub: %j', async (answer, revocation) => {
  expect(await github.api.revoker.revoke(async () => answer, new Secret('a-token'))).toEqual(revocation)
})

test('GitHub: only a token that asks for itself is told to be invalid', async () => {
  const installation = new Secret(['gh', 's_', 'a'.repeat(36)].join(''))
  expect(await github.api.revoker.revoke(async () => answered(401), installation)).toEqual({
    outcome: 'invalid',
    code: 'http_401',
  })
})
