import { afterEach, describe, expect, test, vi } from 'vitest'
import { contents, kinds, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { add, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromPylon, fromSlack, message, request, slackEvent, slackHeaders } from '../../support/webhooks.ts'

afterEach(() => void vi.useRealTimers())

/** What is shown of an integration's refused webhooks. */
async function refused(db: TestDatabase, id: string) {
  const { code, stdout, stderr } = await runInProcess(['show', id, '-o', 'json'], { env: { DATABASE_URL: db.url } })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout).refusedWebhooks
}

const healthRows = async (db: TestDatabase) =>
  (await db.query('SELECT integration_id FROM integration_health')).map((row) => row.integration_id)

const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
const told = (count: number, lastReason: string) => ({ count, since: instant, lastAt: instant, lastReason })

describe.each(kinds)('a refused webhook on %s', (kind) => {
  test('is counted for the integration that it names, whatever is wrong with it, and answered as before', async () => {
    const { db, store, errors, receive } = await start(kind)
    const slack = await add(store, 'support', signingSecret(1))
    const fresh = await add(store, 'fresh', signingSecret(2), { team: 'T2' })
    const pylon = await add(store, 'desk', signingSecret(3), { platform: 'pylon' })
    const before = await contents(db)
    // Nothing is written before flush.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const receiver = await receive()
    const body = slackEvent(message)
    const hour = 3600
    const now = Math.floor(Date.now() / 1000)
    for (const [sent, status, reason] of [
      [fromSlack(signingSecret(9)), 401, 'signature_mismatch'],
      [request(body, {}), 401, 'signature_missing'],
      [
        request(body, { ...slackHeaders(signingSecret(1), body), 'x-slack-signature': 'v0=x' }),
        401,
        'signature_malformed',
      ],
      // Nothing is known of this team yet.
      [request(slackEvent(message, { team_id: 'T2' }), slackHeaders('x', body, now - hour)), 401, 'signature_stale'],
      [fromSlack(signingSecret(9), slackEvent(message, { team_id: 'T404' })), 401, 'unknown_integration'],
    ] as const)
      expect(await receiver.slack(sent)).toEqual({ kind: 'rejected', status, body: '', reason })
    const to = { integrationId: pylon }
    expect(await receiver.pylon(fromPylon(signingSecret(3), '{'), to)).toMatchObject({ reason: 'malformed' })
    const read = fromPylon(signingSecret(3), '{}')
    await read.text()
    expect(await receiver.pylon(read, to)).toMatchObject({ reason: 'body_consumed' })
    expect(await receiver.pylon(fromPylon(signingSecret(3), '{}'), { integrationId: 'nobody' })).toMatchObject({
      reason: 'unknown_integration',
    })
    await receiver.flush()
    expect(errors).toEqual([expect.objectContaining({ code: 'BAD_INPUT' })])
    expect(await refused(db, slack)).toEqual(told(3, 'signature_malformed'))
    expect(await refused(db, fresh)).toEqual(told(1, 'signature_stale'))
    expect(await refused(db, pylon)).toEqual(told(2, 'body_consumed'))
    expect((await healthRows(db)).sort()).toEqual([slack, fresh, pylon].sort())
    // No event, no version, and nothing of what was sent.
    const after = await contents(db)
    for (const table of ['integrations', 'integration_versions', 'integration_secrets', 'integration_events'])
      expect(after[table]).toEqual(before[table])
    const text = JSON.stringify(after.integration_health)
    expect(text).not.toContain('hi')
    for (const part of [signingSecret(9), 'v0=x', 'C024BE91L']) expect(text).not.toContain(part)
  })

  test('is written once a minute, also by flush and close, and what is accepted writes nothing of it', async () => {
    const { db, store, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    const other = await add(store, 'other', signingSecret(2), { team: 'T2' })
    const receiver = await receive()
    const refuse = () => receiver.slack(fromSlack(signingSecret(9)))
    await refuse()
    await receiver.flush()
    await refuse()
    await receiver.slack(fromSlack(signingSecret(2), slackEvent(message, { team_id: 'T2' })))
    await receiver.flush()
    await receiver.close()
    expect([await refused(db, id), await refused(db, other)]).toEqual([told(1, 'signature_mismatch'), null])
    expect(await healthRows(db)).toEqual([id])
  })

  test('adds to what other receivers have counted, until a day has passed without any', async () => {
    const { db, store, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    const refuse = async () => {
      const receiver = await receive()
      await receiver.slack(fromSlack(signingSecret(9)))
      await receiver.close()
      return refused(db, id)
    }
    const last = async (at: string) => db.query('UPDATE integration_health SET refused_at = ?', at)
    const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString().slice(0, 23)
    await refuse()
    await db.query('UPDATE integration_health SET refused_since = ?, refused_count = 2147483646', hoursAgo(90))
    await last(hoursAgo(23))
    const most = await refuse()
    expect(most).toMatchObject({ count: 2_147_483_647 })
    expect(Date.parse(most.since)).toBeLessThan(Date.now() - 89 * 3_600_000)
    // The largest that there is.
    expect((await refuse()).count).toBe(2_147_483_647)
    await last(hoursAgo(25))
    const anew = await refuse()
    expect(anew).toEqual(told(1, 'signature_mismatch'))
    expect(Date.parse(anew.since)).toBeGreaterThan(Date.now() - 60_000)
    // Another receiver knows of a later one, with another reason; and a time in the future stays for no longer than a day.
    await db.query("UPDATE integration_health SET refused_reason = 'signature_stale'")
    await last(hoursAgo(-1))
    expect(await refuse()).toMatchObject({ count: 2, lastReason: 'signature_stale' })
    await last(hoursAgo(-48))
    expect(await refuse()).toEqual(told(1, 'signature_mismatch'))
  })

  test('is left out where the integration was removed meanwhile, and goes with it', async () => {
    const { db, store, errors, receive } = await start(kind, 60)
    const gone = await add(store, 'gone', signingSecret(1))
    const stays = await add(store, 'stays', signingSecret(2), { team: 'T2' })
    const receiver = await receive()
    await receiver.slack(fromSlack(signingSecret(9)))
    await receiver.slack(fromSlack(signingSecret(9), slackEvent(message, { team_id: 'T2' })))
    await db.query('DELETE FROM integrations WHERE id = ?', gone)
    await receiver.flush()
    expect([errors, await healthRows(db)]).toEqual([[], [stays]])
    await db.query('DELETE FROM integrations WHERE id = ?', stays)
    expect(await healthRows(db)).toEqual([])
  })

  test('is answered as before where it cannot be written, and told of', async () => {
    const { db, store, errors, receive } = await start(kind)
    await add(store, 'support', signingSecret(1))
    const receiver = await receive()
    await db.query('DROP TABLE integration_health')
    expect(await receiver.slack(fromSlack(signingSecret(9)))).toMatchObject({ reason: 'signature_mismatch' })
    expect(await receiver.slack(fromSlack(signingSecret(1)))).toMatchObject({ kind: 'event' })
    await receiver.flush()
    expect(errors).toEqual([expect.objectContaining({ code: 'DATABASE_INVALID' })])
    const rows = await db.query('SELECT match_count AS n FROM integration_secrets')
    expect(rows.map(({ n }) => Number(n))).toEqual([1])
  })
})
