import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { freshDatabase } from '../../support/database.ts'
import { runProgram } from '../../support/program.ts'
import { post, postSlack, startEndpoint } from '../../support/receiver-example.ts'
import { signingSecret } from '../../support/samples.ts'
import { addSlack, rotate } from '../../support/slack-integration.ts'
import { message, slackEvent } from '../../support/webhooks.ts'

test('the example receives from both platforms, and writes down what is left when it is stopped', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url }
  await addSlack(env, 'support', '--slack-team-id', 'T012AB3CD')
  const { stdout } = await runProgram(
    ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'desk', '--webhook-secret-stdin', '-o', 'id'],
    { env, input: 'a-webhook-secret' },
  )
  const endpoint = await startEndpoint(db)
  const issue = '{"event_type":"issue_new"}'
  const signature = createHmac('sha256', 'a-webhook-secret').update(issue).digest('hex')
  expect([
    await postSlack(endpoint.url, signingSecret(1), slackEvent(message)),
    await postSlack(endpoint.url, signingSecret(2), slackEvent(message)),
    await post(`${endpoint.url}/pylon/${stdout.trim()}`, issue, { 'x-pylon-signature': signature }),
    await post(`${endpoint.url}/pylon/nobody`, issue, { 'x-pylon-signature': signature }),
    await post(`${endpoint.url}/elsewhere`, issue, {}),
  ]).toEqual([200, 401, 200, 401, 404])
  // What the program sends to try an endpoint is accepted, with the old secret too while it is valid.
  expect(await rotate(env, 2, '--grace', '1h')).toMatchObject({ code: 0 })
  const send = async (...args: string[]) => (await runProgram(['webhook', 'send', ...args], { env })).code
  expect([
    await send('support', `${endpoint.url}/slack`),
    await send('support', `${endpoint.url}/slack`, '--sample', 'message'),
    await send('support', `${endpoint.url}/slack`, '--sample', 'message', '--secret', 'previous'),
    await send('desk', `${endpoint.url}/pylon/${stdout.trim()}`),
  ]).toEqual([0, 0, 0, 0])
  expect(await endpoint.stop()).toBe(0)
  expect(endpoint.printed().replace(/\d+/, '<port>').split('\n')).toEqual([
    'listening on <port>',
    'Acme/support: message',
    'rejected: signature_mismatch',
    'Acme/desk: issue_new',
    'rejected: unknown_integration',
    'Acme/support: message',
    'Acme/support: message',
    'Acme/desk: issue_new',
    '',
  ])
  expect(
    await db.query('SELECT field, number, match_count FROM integration_secrets ORDER BY match_count, number'),
  ).toEqual([
    { field: 'webhook_secret', number: 2, match_count: 1 },
    { field: 'webhook_secret', number: 1, match_count: 2 },
    { field: 'webhook_secret', number: 1, match_count: 2 },
  ])
})
