import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { integrations } from '../support/cli.ts'
import { freshDatabase } from '../support/database.ts'
import { post, postSlack, startEndpoint } from '../support/example.ts'
import { addSlack } from '../support/integration.ts'
import { signingSecret } from '../support/samples.ts'
import { message, slackEvent } from '../support/webhooks.ts'

test('the example receives from both platforms, and writes down what is left when it is stopped', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url }
  await addSlack(env, 'support', '--slack-team-id', 'T012AB3CD')
  const { stdout } = await integrations(
    ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'desk', '--webhook-secret-stdin', '-o', 'id'],
    { env, input: 'a webhook secret' },
  )
  const endpoint = await startEndpoint(db)
  const issue = '{"event_type":"issue_new"}'
  const signature = createHmac('sha256', 'a webhook secret').update(issue).digest('hex')
  expect([
    await postSlack(endpoint.url, signingSecret(1), slackEvent(message)),
    await postSlack(endpoint.url, signingSecret(2), slackEvent(message)),
    await post(`${endpoint.url}/pylon/${stdout.trim()}`, issue, { 'x-pylon-signature': signature }),
    await post(`${endpoint.url}/pylon/nobody`, issue, { 'x-pylon-signature': signature }),
    await post(`${endpoint.url}/elsewhere`, issue, {}),
  ]).toEqual([200, 401, 200, 401, 404])
  expect(await endpoint.stop()).toBe(0)
  expect(endpoint.printed()).toMatch(/^listening on \d+\nAcme\/support: message\nAcme\/desk: issue_new\n$/)
  expect(await db.query('SELECT match_count FROM integration_secrets')).toEqual([
    { match_count: 1 },
    { match_count: 1 },
  ])
})
