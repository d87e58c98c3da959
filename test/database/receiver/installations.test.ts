import { describe, expect, test } from 'vitest'
import { setActive } from '../../../src/operations/integrations/set-active.ts'
import { kinds, type TestDatabase } from '../../support/database.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { botToken, signingSecret } from '../../support/samples.ts'
import { turnEncryptionOff } from '../../support/state.ts'
import { fromSlack, message, slackEvent } from '../../support/webhooks.ts'

const active = async (db: TestDatabase) =>
  (await db.query('SELECT name FROM integrations WHERE is_active ORDER BY name')).map(({ name }) => name)
const disabled = async (db: TestDatabase) =>
  (await db.query("SELECT target_name FROM integration_events WHERE action = 'integration.disable' ORDER BY seq")).map(
    ({ target_name }) => target_name,
  )
const secondsAgo = (seconds: number) => Math.floor(Date.now() / 1000) - seconds

describe.each(kinds)('installations on %s', (kind) => {
  test('an app that leaves one workspace stays in the organization', async () => {
    const { db, store, errors, receive } = await start(kind, 60)
    await add(store, 'team', signingSecret(1), { team: 'T0AAAAAA1' })
    await add(store, 'org', signingSecret(1), { team: 'E0AAAAAA1' })
    const receiver = await receive()
    const send = async (event: object, more: object) =>
      brief(
        await receiver.slack(
          fromSlack(signingSecret(1), slackEvent(event, { team_id: 'T0AAAAAA1', enterprise_id: 'E0AAAAAA1', ...more })),
        ),
      )
    const authorizations = [{ team_id: 'T0AAAAAA1', enterprise_id: 'E0AAAAAA1', is_enterprise_install: false }]
    expect(await send({ type: 'app_uninstalled' }, { authorizations, event_time: secondsAgo(-5) })).toEqual([
      'team',
      'app_uninstalled',
      1,
      'current',
    ])
    expect([await active(db), await disabled(db), errors]).toEqual([['org'], ['Acme/team'], []])
  })

  test('late news of an app that was uninstalled leaves what was installed since', async () => {
    const { db, store, errors, receive } = await start(kind, 0)
    const receiver = await receive()
    const uninstalled = async (event_time?: number) =>
      brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent({ type: 'app_uninstalled' }, { event_time }))))
    const id = await add(store, 'support', signingSecret(1))
    // Added since.
    expect(await uninstalled(secondsAgo(1800))).toEqual([200, 'outdated'])
    // Long there, and connected again by a new token.
    const past = kind === 'sqlite' ? "'2026-01-01T00:00:00.000+00:00'" : "timestamp '2026-01-01'"
    await db.query(`UPDATE integrations SET created_at = ${past}`)
    await rotate(store, id, botToken(1), 0, 'accessToken')
    expect(await uninstalled(secondsAgo(1800))).toEqual([200, 'outdated'])
    // Connected again by the application, which writes the token itself.
    await db.query(`UPDATE integration_secrets SET set_at = ${past}`)
    await turnEncryptionOff(db)
    await db.query('UPDATE integrations SET access_token = ?', botToken(2))
    expect(await uninstalled(secondsAgo(1800))).toEqual([200, 'outdated'])
    // Connected again by a person who enabled it.
    await db.query(`UPDATE integration_secrets SET set_at = ${past}`)
    await setActive(store, id, { to: false })
    await setActive(store, id, { to: true })
    expect(await uninstalled(secondsAgo(1800))).toEqual([200, 'outdated'])
    expect([await active(db), await disabled(db)]).toEqual([['support'], ['Acme/support']])
    // News of what came after all that, and news without a time.
    expect(await uninstalled(secondsAgo(-5))).toEqual(['support', 'app_uninstalled', 1, 'current'])
    expect(await active(db)).toEqual([])
    await setActive(store, id, { to: true })
    expect(await uninstalled()).toEqual(['support', 'app_uninstalled', 1, 'current'])
    expect([await active(db), errors]).toEqual([[], []])
  })

  test('an event for a team without an integration is accepted and ignored when a secret of the platform signed it', async () => {
    const { db, store, errors, receive } = await start(kind, 60)
    await add(store, 'support', signingSecret(1))
    await add(store, 'desk', signingSecret(2), { team: 'T023AB3CD' })
    const before = await db.query('SELECT * FROM integration_secrets ORDER BY integration_id')
    const receiver = await receive()
    const unclaimed = async (n: number, more: object = {}) =>
      brief(await receiver.slack(fromSlack(signingSecret(n), slackEvent(message, { team_id: 'T0NOBODY1', ...more }))))
    expect({
      first: await unclaimed(1),
      second: await unclaimed(2),
      uninstalled: await unclaimed(1, { event: { type: 'app_uninstalled' } }),
      stranger: await unclaimed(3),
      large: await unclaimed(1, { padding: 'x'.repeat(65_536) }),
    }).toEqual({
      first: [200, 'unclaimed'],
      second: [200, 'unclaimed'],
      uninstalled: [200, 'unclaimed'],
      stranger: [401, 'unknown_integration'],
      large: [503, 'unavailable'],
    })
    // One is read at a time; which of them depends on the database.
    const atOnce = await Promise.all(Array.from({ length: 8 }, () => unclaimed(1)))
    expect(atOnce).toContainEqual([200, 'unclaimed'])
    for (const one of atOnce)
      expect([
        [200, 'unclaimed'],
        [503, 'unavailable'],
      ]).toContainEqual(one)
    await receiver.close()
    expect([await db.query('SELECT * FROM integration_secrets ORDER BY integration_id'), errors]).toEqual([before, []])
  })

  test('what is not signed for a team is answered alike, whether the team has an integration or not', async () => {
    const { store, errors, receive } = await start(kind, 60)
    await add(store, 'support', signingSecret(1))
    await add(store, 'desk', signingSecret(2), { team: 'T023AB3CD' })
    const receiver = await receive()
    const refusedAfterMs: number[] = []
    const send = async (n: number, team_id: string, more: object = {}) => {
      const sentAt = performance.now()
      const { status } = await receiver.slack(fromSlack(signingSecret(n), slackEvent(message, { team_id, ...more })))
      if (status !== 200) refusedAfterMs.push(performance.now() - sentAt)
      return status
    }
    const each = async (team: string) => [
      await send(3, team),
      await send(3, team, { padding: 'x'.repeat(65_536) }),
      (await Promise.all(Array.from({ length: 8 }, () => send(3, team)))).every((one) => one === 401 || one === 503),
    ]
    const known = await each('T012AB3CD')
    expect([known, await each('T0NOBODY1')]).toEqual([
      [401, 503, true],
      [401, 503, true],
    ])
    // The secret of another integration may be the next one of this team, so that the event is to be sent again.
    expect([await send(2, 'T012AB3CD'), await send(2, 'T0NOBODY1')]).toEqual([401, 200])
    expect([await send(1, 'T012AB3CD', { padding: 'x'.repeat(65_536) }), errors]).toEqual([200, []])
    // Nor does the time tell, which is that of a clock and not of the work.
    expect([refusedAfterMs.length, Math.min(...refusedAfterMs) >= 100]).toEqual([21, true])
  })

  test('configs and secrets that are too long to be read at once keep no webhook from being told', async () => {
    const { db, store, errors, receive } = await start(kind, 60)
    await add(store, 'support', signingSecret(1))
    await turnEncryptionOff(db)
    const repeated = (many: number) => (kind === 'sqlite' ? `hex(zeroblob(${many / 2}))` : `repeat('x', ${many})`)
    const config = `${kind === 'sqlite' ? '' : 'to_jsonb'}(${kind === 'sqlite' ? `'"' || ${repeated(250_000)} || '"'` : repeated(250_000)})`
    const insert = (id: string, team: string, secret: string) =>
      db.query(`INSERT INTO integrations (id, workspace_id, platform, name, slack_team_id, webhook_secret, config)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
        SELECT '${id}-' || n.i, i.workspace_id, 'slack', '${id}-' || n.i, ${team}, ${secret}, ${config} FROM integrations i, n WHERE i.name = 'support'`)
    await insert('zz', "'T0TEAM' || n.i", "'secret ' || n.i")
    await insert('of-one', "'T0ONE'", `'secret ' || ${repeated(150_000)} || n.i`)
    const [long] = await db.query("SELECT webhook_secret AS secret FROM integrations WHERE id = 'of-one-40'")
    const receiver = await receive()
    const unclaimed = fromSlack('secret 40', slackEvent(message, { team_id: 'T0NONE' }))
    const outcome = await receiver.slack(fromSlack(String(long?.secret), slackEvent(message, { team_id: 'T0ONE' })))
    expect([
      brief(await receiver.slack(unclaimed)),
      outcome.kind === 'event' && [outcome.integration.id, outcome.others],
      errors,
    ]).toEqual([[200, 'unclaimed'], ['of-one-40', []], []])
  })
})

test('of more than 100 secrets, the one that an app is known to sign with is tried first', async () => {
  const { db, store, errors, receive } = await start('sqlite', 60)
  await add(store, 'support', signingSecret(1))
  await turnEncryptionOff(db)
  // They are tried in the order of their ids.
  await db.query(`INSERT INTO integrations (id, workspace_id, platform, name, slack_team_id, webhook_secret)
    WITH RECURSIVE n (i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 1102)
    SELECT 'zz-' || n.i, i.workspace_id, 'slack', 'one-' || n.i, 'T0TEAM' || n.i, 'secret ' || n.i FROM integrations i, n`)
  const receiver = await receive()
  const send = async (team_id: string, api_app_id: string) =>
    brief(await receiver.slack(fromSlack('secret 1102', slackEvent(message, { team_id, api_app_id }))))
  expect([
    await send('T0NONE', 'A0LAST'),
    await send('T0TEAM1102', 'A0LAST'),
    await send('T0NONE', 'A0LAST'),
    await send('T0NONE', 'A0OTHER'),
  ]).toEqual([
    [503, 'unavailable'],
    ['one-1102', 'message', null, 'current'],
    [200, 'unclaimed'],
    [503, 'unavailable'],
  ])
  expect(errors).toEqual([])
})

test('a fingerprint that is a BLOB hides no other secret of the platform, nor is its own passed over in silence', async () => {
  const { db, store, errors, receive } = await start('sqlite', 60)
  await add(store, 'support', signingSecret(1))
  await add(store, 'desk', signingSecret(2), { team: 'T0DESK' })
  await turnEncryptionOff(db)
  await db.query(`INSERT INTO integrations (id, workspace_id, platform, name, slack_team_id, webhook_secret)
    SELECT 'unrecorded', workspace_id, 'slack', 'unrecorded', 'T0OTHER', 'secret 3' FROM integrations WHERE name = 'desk'`)
  await db.query(`UPDATE integration_secrets SET fingerprint = CAST(fingerprint AS BLOB)
    WHERE integration_id = (SELECT id FROM integrations WHERE name = 'desk')`)
  const receiver = await receive()
  const send = async (value: string) =>
    brief(await receiver.slack(fromSlack(value, slackEvent(message, { team_id: 'T0NONE' }))))
  expect([
    await send(signingSecret(1)),
    await send('secret 3'),
    await send(signingSecret(4)),
    errors.length > 0,
  ]).toEqual([[200, 'unclaimed'], [200, 'unclaimed'], [503, 'unavailable'], true])
})
