import { expect, test } from 'vitest'
import type { IntegrationView } from '../../../src/integration.ts'
import { github } from '../../../src/platforms/github.ts'
import { platforms } from '../../../src/platforms/platforms.ts'
import { slack } from '../../../src/platforms/slack.ts'
import type { LookupResult } from '../../../src/receiver/lookup/secrets.ts'
import { findMatch, signaturesOf } from '../../../src/receiver/match.ts'
import { Secret } from '../../../src/secret.ts'
import { fingerprint } from '../../support/brands.ts'
import { kinds } from '../../support/database.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { turnEncryptionOff } from '../../support/state.ts'
import { fromSlack, message, request, slackEvent, slackHeaders } from '../../support/webhooks.ts'

/** What came of a request, and how many secrets were tried for it. */
async function tried(value: string, first: readonly string[] | undefined, then: readonly string[] | undefined) {
  const found = (values: readonly string[] | undefined): LookupResult | undefined =>
    values && {
      startedAt: 0,
      startedAtMs: 0,
      clockAheadMs: 0,
      keyMissing: false,
      truncated: false,
      entries: values.map((value, i) => ({
        integration: { id: String(i), platform: 'slack', config: null } as IntegrationView,
        secrets: [
          { number: 1, fingerprint: fingerprint('0123456789abcdef'), value: new Secret(value), validUntil: null },
        ],
      })),
    }
  const cache = { find: async () => found(first), findSince: async () => found(then), promote: () => {} }
  const bytes = Buffer.from(slackEvent(message))
  let read = 0
  const sent = {
    headers: new Headers(slackHeaders(value, bytes.toString())),
    get body(): Uint8Array {
      throw new Error('it was put into one piece')
    },
  }
  const body = {
    length: bytes.length,
    get pieces() {
      read++
      return [bytes.subarray(0, 9), bytes.subarray(9)]
    },
  }
  const outcome = await findMatch(cache, {
    platform: slack,
    request: sent,
    body,
    signatures: signaturesOf(sent),
    keys: [{ kind: 'match', match: { by: 'id', value: 'any' } }],
    arrivedAt: 0,
  })
  return [outcome.kind === 'match' ? outcome.matched.length : brief(outcome), read]
}

test('a secret is tried once for a request, and 100 of them at most', async () => {
  const [one, two, three] = [1, 2, 3].map((n) => signingSecret(n)) as [string, string, string]
  const many = Array.from({ length: 101 }, (_, i) => signingSecret(i))
  const last = many.at(-1) as string
  expect({
    first: await tried(one, [one, two], []),
    shared: await tried(one, [two, one, one], []),
    second: await tried(three, [one, two], [one, two, three]),
    none: await tried(three, [one, two], [two, one]),
    hundredth: await tried(many[99] as string, many, many),
    next: await tried(last, many, many),
    nextWithout: await tried(last, [...many.slice(0, 99), last, last], []),
    full: await tried(one, undefined, []),
    fullThen: await tried(one, [two], undefined),
  }).toEqual({
    first: [1, 1],
    shared: [2, 2],
    second: [1, 3],
    none: [[401, 'signature_mismatch'], 2],
    hundredth: [1, 100],
    next: [[503, 'too_many'], 100],
    nextWithout: [2, 100],
    full: [[503, 'unavailable'], 0],
    fullThen: [[503, 'unavailable'], 1],
  })
})

test.each(kinds)('on %s, a team may have a thousand integrations, and many secrets', async (kind) => {
  const { db, store, receive } = await start(kind)
  const id = await add(store, 'n0', signingSecret(0))
  // As an application writes them.
  await turnEncryptionOff(db)
  const [{ workspace_id: workspace } = {}] = await db.query('SELECT workspace_id FROM integrations WHERE id = ?', id)
  const insert = (rows: readonly (readonly [name: string, team: string, value: string])[]) =>
    db.query(
      `INSERT INTO integrations (id, workspace_id, platform, name, slack_team_id, webhook_secret) VALUES ${rows
        .map(([name, team, value]) => `('${name}', '${workspace}', 'slack', '${name}', '${team}', '${value}')`)
        .join(', ')}`,
    )
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
  await insert(range(0, 120).map((i) => [`shared${i}`, 'T111AB3CD', signingSecret(200)]))
  await insert(range(0, 101).map((i) => [`own${String(i).padStart(3, '0')}`, 'T222AB3CD', signingSecret(i)]))
  await insert(range(0, 1001).map((i) => [`many${i}`, 'T333AB3CD', signingSecret(1)]))
  const receiver = await receive()
  const slack = (value: string, team_id: string) =>
    receiver.slack(fromSlack(value, slackEvent({ ...message, bot_id: 'B1' }, { team_id })))
  const shared = await receiver.slack(fromSlack(signingSecret(200), slackEvent(message, { team_id: 'T111AB3CD' })))
  expect({
    shared: shared.kind === 'event' && shared.others.length,
    hundredth: brief(await slack(signingSecret(99), 'T222AB3CD')),
    next: brief(await slack(signingSecret(100), 'T222AB3CD')),
    many: brief(await slack(signingSecret(1), 'T333AB3CD')),
  }).toEqual({
    shared: 119,
    hundredth: [200, 'bot'],
    next: [503, 'too_many'],
    many: [503, 'too_many'],
  })
})

test('a body may be as large as its platform sends', async () => {
  const { store, receive } = await start('sqlite')
  const integrationId = await add(store, 'code', 'a secret', { platform: 'github' })
  const receiver = await receive()
  const { createHmac } = await import('node:crypto')
  const send = async (length: number) => {
    const body = '{"a":""}'.replace('""', `"${'x'.repeat(length - 8)}"`)
    const signature = `sha256=${createHmac('sha256', 'a secret').update(body).digest('hex')}`
    const sent = request(body, { 'x-github-event': 'push', 'x-hub-signature-256': signature })
    return brief(await receiver.github(sent, { integrationId }))
  }
  expect([await send(26_214_400), await send(26_214_401)]).toEqual([
    ['code', 'push', 1, 'current'],
    [413, 'too_large'],
  ])
  expect(platforms.map(({ id, webhooks }) => [id, webhooks.maxBodyBytes])).toEqual([
    ['slack', 1_048_576],
    ['pylon', 1_048_576],
    ['github', github.webhooks.maxBodyBytes],
  ])
})
