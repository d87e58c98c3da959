import { expect, test } from 'vitest'
import { slackApi } from '../../../src/platforms/slack-api.ts'
import { Secret } from '../../../src/secret.ts'

const refreshed = (answer: object) =>
  slackApi.refresh(
    async () => ({
      answered: true,
      status: 200,
      headers: new Headers(),
      text: JSON.stringify({ ok: true, ...answer }),
    }),
    { id: 'a', secret: new Secret('b') },
    new Secret('c'),
  )

test.each([
  ['a line break', { access_token: 'xoxe.a\nb' }],
  ['an escape', { access_token: 'xoxe.\u001b[31ma' }],
  ['a C1 control', { access_token: 'xoxe.a\u009b' }],
  ['a direction', { access_token: 'xoxe.\u202ea' }],
  ['a space', { access_token: 'xoxe a' }],
  ['quotes', { access_token: '"xoxe.xoxb-1"' }],
  ['a mask', { access_token: 'xoxe.xoxb-1', refresh_token: 'xoxe-1-****' }],
  ['another refresh token', { access_token: 'xoxe.xoxb-1', refresh_token: 'xoxe-1-\u0000' }],
])('tokens with %s are not taken, and the outcome of the refresh is unknown', async (_, answer) => {
  expect(await refreshed(answer)).toEqual({ outcome: 'unknown', code: 'malformed_token' })
})

test('tokens of visible characters are taken', async () => {
  const renewal = await refreshed({ access_token: 'xoxe.xoxb-1~!', refresh_token: 'xoxe-1-a', expires_in: 43_200 })
  expect(renewal).toMatchObject({ outcome: 'renewed', expiresIn: 43_200 })
})
