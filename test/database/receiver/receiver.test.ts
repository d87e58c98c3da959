import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { setActive } from '../../../src/operations/integrations/set-active.ts'
import { finishSecret } from '../../../src/operations/secrets/finish.ts'
import { revertSecret } from '../../../src/operations/secrets/history.ts'
import { createReceiver, fromNode } from '../../../src/receiver/receiver.ts'
import { begin, contents, kinds, type TestDatabase } from '../../support/database.ts'
import { runProgram } from '../../support/program.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { turnEncryptionOff } from '../../support/state.ts'
import { fromPylon, fromSlack, message, request, slackEvent, slackHeaders } from '../../support/webhooks.ts'

/** Every row of every table, but for what tells of use and of refused webhooks. */
async function withoutUse(db: TestDatabase): Promise<Record<string, unknown[]>> {
  const { integration_health: _, ...tables } = await contents(db)
  const rest = (text: unknown) => {
    const {
      last_used_at: _,
      last_matched_at: __,
      match_count: ___,
      updated_at: ____,
      ...row
    } = JSON.parse(String(text))
    return row
  }
  return Object.fromEntries(Object.entries(tables).map(([table, rows]) => [table, rows.map(rest)]))
}

const versions = (db: TestDatabase) =>
  db.query(
    'SELECT number, match_count, last_matched_at IS NOT NULL AS matched FROM integration_secrets ORDER BY integration_id, number',
  )

describe.each(kinds)('the receiver on %s', (kind) => {
  const yes = kind === 'sqlite' ? 1 : true
  const no = kind === 'sqlite' ? 0 : false

  test('accepts the current secret and the one before it inside its window, and records nothing but their use', async () => {
    const { db, store, errors, receive } = await start(kind, 60)
    const id = await add(store, 'support', signingSecret(1))
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual(['support', 'message', 1, 'current'])
    await rotate(store, id, signingSecret(2), 60_000)
    // What is remembered is a minute old at most; a signature that does not match has it read again.
    expect(brief(await receiver.slack(fromSlack(signingSecret(2))))).toEqual(['support', 'message', 2, 'current'])
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual(['support', 'message', 1, 'previous'])
    expect(brief(await receiver.slack(fromSlack(signingSecret(3))))).toEqual([401, 'signature_mismatch'])
    const before = await db.query('SELECT version FROM integration_versions')
    const events = await db.query('SELECT seq FROM integration_events')
    const reports = async () => (await db.query('SELECT id FROM integration_receivers')).length
    const reported = await reports()
    await receiver.close()
    expect({
      versions: await versions(db),
      used: await db.query('SELECT last_used_at IS NOT NULL AS used FROM integrations'),
      version: await db.query('SELECT version FROM integration_versions'),
      events: await db.query('SELECT seq FROM integration_events'),
      // What closes takes its report back.
      reports: [reported, await reports()],
      errors,
    }).toEqual({
      versions: [
        { number: 1, match_count: 2, matched: yes },
        { number: 2, match_count: 1, matched: yes },
      ],
      used: [{ used: yes }],
      version: before,
      events,
      reports: [1, 0],
      errors: [],
    })
  })

  test('refuses a secret whose window was ended, no later than it remembers', async () => {
    const { store, receive } = await start(kind, 1)
    const id = await add(store, 'support', signingSecret(1))
    await rotate(store, id, signingSecret(2), 60_000)
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual(['support', 'message', 1, 'previous'])
    await finishSecret(store, id, { field: 'webhookSecret', whenUnused: 0, force: true })
    await sleep(1001)
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual([401, 'signature_mismatch'])
    // One whose window ends by itself is refused from then on, remembered or not.
    await rotate(store, id, signingSecret(3), 2500)
    await sleep(1001)
    expect(brief(await receiver.slack(fromSlack(signingSecret(2))))).toEqual(['support', 'message', 2, 'previous'])
    await sleep(1600)
    expect(brief(await receiver.slack(fromSlack(signingSecret(2))))).toEqual([401, 'signature_mismatch'])
    await rotate(store, id, signingSecret(4), 60_000)
    await revertSecret(store, id, { field: 'webhookSecret' })
    expect(brief(await receiver.slack(fromSlack(signingSecret(3))))).toEqual(['support', 'message', 3, 'current'])
    expect(brief(await receiver.slack(fromSlack(signingSecret(4))))).toEqual(['support', 'message', 4, 'previous'])
  })

  test('finds out which of a team’s integrations a request is for, and tells strangers nothing', async () => {
    const { db, store, receive } = await start(kind)
    await add(store, 'one', signingSecret(1))
    await add(store, 'two', signingSecret(2))
    await add(store, 'twin', signingSecret(2))
    await add(store, 'org', signingSecret(3), { team: 'E012AB3CD' })
    const receiver = await receive()
    const before = await withoutUse(db)
    const slack = async (value: string, body: string, headers = slackHeaders(value, body)) =>
      brief(await receiver.slack(request(body, headers)))
    const two = await receiver.slack(fromSlack(signingSecret(2)))
    const event = slackEvent(message)
    const other = slackEvent(message, { team_id: 'T999AB3CD' })
    const challenge = JSON.stringify({ type: 'url_verification', challenge: 'abc' })
    const nobody = slackEvent(message, { team_id: undefined })
    const old = Math.floor(Date.now() / 1000) - 301
    const signed = slackHeaders(signingSecret(1), event)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const command = 'team_id=T012AB3CD&command=%2Fdeploy'
    // In a channel that organizations share, the team is the one that wrote, and the app may be another's.
    const connected = slackEvent(message, { team_id: 'T999AB3CD', authorizations: [{ team_id: 'T012AB3CD' }] })
    const viewed = JSON.stringify({ team: { id: 'T999AB3CD' }, view: { app_installed_team_id: 'T012AB3CD' } })
    const interaction = `payload=${encodeURIComponent(JSON.stringify({ type: 'block_actions', team: { id: 'T012AB3CD' } }))}`
    expect({
      one: await slack(signingSecret(1), event),
      two: [brief(two), two.kind === 'event' && two.others.map(({ name }) => name)],
      org: await slack(signingSecret(3), slackEvent(message, { team_id: 'T777AB3CD', enterprise_id: 'E012AB3CD' })),
      wrong: await slack(signingSecret(9), event),
      unclaimed: await slack(signingSecret(1), other),
      unknown: await slack(signingSecret(9), other),
      challenge: await slack(signingSecret(3), challenge),
      wrongChallenge: await slack(signingSecret(9), challenge),
      nobody: await slack(signingSecret(1), nobody),
      connected: await slack(signingSecret(1), connected),
      viewed: await slack(signingSecret(1), viewed),
      command: await slack('', command, { ...slackHeaders(signingSecret(1), command), ...form }),
      interaction: await slack('', interaction, { ...slackHeaders(signingSecret(1), interaction), ...form }),
      unsigned: await slack('', event, {}),
      twice: await slack('', event, { ...signed, 'x-slack-signature': `${signed['x-slack-signature']}, x` }),
      stale: await slack('', event, slackHeaders(signingSecret(1), event, old)),
      future: await slack('', event, slackHeaders(signingSecret(1), event, old + 900)),
      sslCheck: await slack('', 'ssl_check=1', form),
      malformed: await slack(signingSecret(1), '[1]'),
      large: await slack(signingSecret(1), 'x'.repeat(1_048_577)),
    }).toEqual({
      one: ['one', 'message', 1, 'current'],
      two: [['twin', 'message', 1, 'current'], ['two']],
      org: ['org', 'message', 1, 'current'],
      wrong: [401, 'signature_mismatch'],
      unclaimed: [200, 'unclaimed'],
      unknown: [401, 'unknown_integration'],
      challenge: [200, 'handled', 'url_verification', 'abc'],
      wrongChallenge: [401, 'signature_mismatch'],
      nobody: [401, 'unknown_integration'],
      connected: ['one', 'message', 1, 'current'],
      viewed: ['one', null, 1, 'current'],
      command: ['one', 'slash_command', 1, 'current'],
      interaction: ['one', 'block_actions', 1, 'current'],
      unsigned: [401, 'signature_missing'],
      twice: [401, 'signature_malformed'],
      stale: [401, 'signature_stale'],
      future: [401, 'signature_stale'],
      sslCheck: [200, 'handled', 'ssl_check', ''],
      malformed: [400, 'malformed'],
      large: [413, 'too_large'],
    })
    // Of those that matched, their use is written; of the others, that they were refused.
    expect(await withoutUse(db)).toEqual(before)
    await receiver.close()
    expect(await db.query('SELECT sum(match_count) AS matched FROM integration_secrets')).toEqual([
      { matched: kind === 'sqlite' ? 8 : '8' },
    ])
  })

  test('leaves out what nobody wants, and switches off what the platform has taken back', async () => {
    const { db, store, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1), {
      config: {
        slackChannels: [{ id: 'C024BE91L', name: 'help' }],
        slackEvents: ['message.channels', 'tokens_revoked'],
      },
    })
    const receiver = await receive()
    const slack = async (event: object) => brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent(event))))
    expect([
      await slack(message),
      await slack({ ...message, channel: 'C999999999' }),
      await slack({ ...message, channel_type: 'im' }),
      await slack({ ...message, bot_id: 'B1' }),
      await slack({ ...message, subtype: 'message_changed' }),
      await slack({ ...message, subtype: 'file_share' }),
      await slack({ type: 'tokens_revoked', tokens: { oauth: ['U9'], bot: [] } }),
      await slack({ type: 'app_uninstalled' }),
      await slack(message),
    ]).toEqual([
      ['support', 'message', 1, 'current'],
      [200, 'channel'],
      [200, 'event'],
      [200, 'bot'],
      [200, 'subtype'],
      ['support', 'message', 1, 'current'],
      ['support', 'tokens_revoked', 1, 'current'],
      ['support', 'app_uninstalled', 1, 'current'],
      [200, 'inactive'],
    ])
    expect(await db.query('SELECT is_active FROM integrations')).toEqual([{ is_active: no }])
    expect(
      await db.query('SELECT action, target_id, declared_as FROM integration_events ORDER BY seq DESC LIMIT 1'),
    ).toEqual([{ action: 'integration.disable', target_id: id, declared_as: 'receiver' }])
  })

  test('accepts again what was switched on again, and switches off again what was taken back since', async () => {
    const { db, store, receive } = await start(kind, 1)
    const id = await add(store, 'support', signingSecret(1))
    const receiver = await receive()
    const slack = async (event: object) => brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent(event))))
    const isActive = () => db.query('SELECT is_active FROM integrations')
    expect(await slack({ type: 'app_uninstalled' })).toEqual(['support', 'app_uninstalled', 1, 'current'])
    await sleep(1001)
    expect([await slack(message), await isActive()]).toEqual([[200, 'inactive'], [{ is_active: no }]])
    expect(await runProgram(['enable', 'support'], { env: { DATABASE_URL: db.url } })).toMatchObject({ code: 0 })
    await sleep(1001)
    expect([await slack(message), await isActive()]).toEqual([
      ['support', 'message', 1, 'current'],
      [{ is_active: yes }],
    ])
    // What is remembered may be that it is inactive, when it no longer is.
    await setActive(store, 'support', { to: false })
    await sleep(1001)
    expect(await slack(message)).toEqual([200, 'inactive'])
    await setActive(store, 'support', { to: true })
    await slack({ type: 'tokens_revoked', tokens: { bot: ['U9'] } })
    expect(await isActive()).toEqual([{ is_active: no }])
    await setActive(store, 'support', { to: true })
    const revoked = async (field: string) => {
      await store.mutate((tx) =>
        tx.record({ action: 'secret.revoke', target: { type: 'integration', id, name: null }, fields: [field] }),
      )
      // Later than the integration was enabled, whatever the fraction of the second.
      const event_time = Math.ceil(Date.now() / 1000) + 1
      const news = slackEvent({ type: 'tokens_revoked', tokens: { bot: ['U9'] } }, { event_time })
      await receiver.slack(fromSlack(signingSecret(1), news))
      return isActive()
    }
    expect(await revoked('access_token')).toEqual([{ is_active: no }])
    await setActive(store, 'support', { to: true })
    expect(await revoked('previous_access_token')).toEqual([{ is_active: yes }])
  })

  test('keeps to its channels, ignores what its own bot does, and lets other bots in where the config says so', async () => {
    const { store, receive } = await start(kind)
    const config = { slackChannels: [{ id: 'C024BE91L', name: 'help' }] }
    await add(store, 'support', signingSecret(1), { config })
    await add(store, 'bots', signingSecret(2), { team: 'T0BOTS', config: { ...config, slackOtherBots: true } })
    const { slack } = await receive()
    const outcomes = async (event: object) => {
      const authorizations = [{ user_id: 'U0BOT', is_bot: true }]
      const bodyOf = (team_id: string) => slackEvent(event, { team_id, authorizations, event_id: crypto.randomUUID() })
      return [
        brief(await slack(fromSlack(signingSecret(1), bodyOf('T012AB3CD')))),
        brief(await slack(fromSlack(signingSecret(2), bodyOf('T0BOTS')))),
      ]
    }
    const both = (outcome: unknown) => [outcome, outcome]
    const reaction = { type: 'reaction_added', user: 'U1', item: { type: 'message', channel: 'C024BE91L' } }
    expect([
      await outcomes(reaction),
      await outcomes({ ...reaction, user: 'U0BOT' }),
      await outcomes({ ...reaction, item: { channel: 'C0OTHER1' } }),
      await outcomes({ type: 'file_shared', channel_id: 'C0OTHER1', file_id: 'F1', user_id: 'U1' }),
      await outcomes({ ...message, user: 'U2', bot_id: 'B2' }),
      await outcomes({ ...message, user: 'U0BOT', bot_id: 'B1' }),
    ]).toEqual([
      [
        ['support', 'reaction_added', 1, 'current'],
        ['bots', 'reaction_added', 1, 'current'],
      ],
      both([200, 'bot']),
      both([200, 'channel']),
      both([200, 'channel']),
      [
        [200, 'bot'],
        ['bots', 'message', 1, 'current'],
      ],
      both([200, 'bot']),
    ])
  })

  test('takes the scheme from the config, and a request that says nothing of its time once', async () => {
    const { store, receive } = await start(kind)
    const plain = await add(store, 'plain', 'the first secret', { platform: 'pylon' })
    const dated = await add(store, 'dated', 'the second secret', {
      platform: 'pylon',
      config: { pylonSignature: 'timestamped', pylonEventPath: '/what/happened' },
    })
    const receiver = await receive()
    const body = '{"event_type":"issue_new","what":{"happened":"it"}}'
    const pylon = async (integrationId: string, value = 'the first secret', text = body) =>
      receiver.pylon(fromPylon(value, text), { integrationId })
    const first = await pylon(plain)
    const again = await pylon(plain)
    if (first.kind === 'event') first.forget()
    expect([
      brief(first),
      brief(again),
      brief(await pylon(plain)),
      brief(await pylon(plain, 'the first secret', '{}')),
      brief(await pylon(plain, 'the first secret', 'no JSON')),
      brief(await pylon(dated, 'the second secret')),
      brief(await pylon('nobody')),
      brief(await pylon('a\0b')),
    ]).toEqual([
      ['plain', 'issue_new', 1, 'current'],
      [200, 'duplicate'],
      ['plain', 'issue_new', 1, 'current'],
      ['plain', null, 1, 'current'],
      [400, 'malformed'],
      [401, 'signature_missing'],
      [401, 'unknown_integration'],
      [401, 'unknown_integration'],
    ])
  })

  test('a value that only the application has written is accepted, and recorded', async () => {
    const { db, store, errors, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    await turnEncryptionOff(db)
    await db.query('UPDATE integrations SET webhook_secret = ? WHERE id = ?', signingSecret(2), id)
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(2))))).toEqual(['support', 'message', null, 'current'])
    await receiver.close()
    expect({
      versions: await db.query('SELECT number, origin FROM integration_secrets ORDER BY number'),
      event: await db.query('SELECT action, declared_as FROM integration_events ORDER BY seq DESC LIMIT 1'),
      errors,
    }).toEqual({
      versions: [
        { number: 1, origin: 'provided' },
        { number: 2, origin: 'application' },
      ],
      event: [{ action: 'secret.external_change', declared_as: 'receiver' }],
      errors: [],
    })
  })

  test('an old value that somebody put back is refused, and told of', async () => {
    const { db, store, errors, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    const [{ webhook_secret: sealed } = {}] = await db.query('SELECT webhook_secret FROM integrations')
    await rotate(store, id, signingSecret(2), 0)
    await db.query('UPDATE integrations SET webhook_secret = ?', String(sealed))
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual([401, 'signature_mismatch'])
    expect(errors[0]).toMatchObject({ code: 'DECRYPTION_FAILED' })
  })

  test('says that it cannot tell, whatever becomes of telling the application why', async () => {
    const { db, store, receive } = await start(kind)
    await add(store, 'support', signingSecret(1))
    const told: unknown[] = []
    const throwing = await receive({
      onError: (error) => {
        told.push(error)
        throw new Error('of the application')
      },
    })
    const rejecting = await receive({
      onError: async (error) => {
        told.push(error)
        throw new Error('of the application')
      },
    })
    await db.query('ALTER TABLE integration_settings RENAME TO elsewhere')
    expect([
      brief(await throwing.slack(fromSlack(signingSecret(1)))),
      brief(await rejecting.slack(fromSlack(signingSecret(1)))),
    ]).toEqual([
      [503, 'unavailable'],
      [503, 'unavailable'],
    ])
    await db.query('ALTER TABLE elsewhere RENAME TO integration_settings')
    // What the driver said may quote a row.
    expect(told.map((error) => [(error as { code: string }).code, (error as Error).cause])).toEqual([
      ['DATABASE_INVALID', undefined],
      ['DATABASE_INVALID', undefined],
    ])
  })

  test('goes on while somebody holds the database, and writes afterwards', async () => {
    const { db, store, errors, receive } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    const receiver = await receive()
    const release = await begin(db, `UPDATE integrations SET name = 'held' WHERE id = '${id}'`)
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual(['support', 'message', 1, 'current'])
    let waited = 0
    const timer = setInterval(() => waited++, 10)
    const closed = receiver.close()
    await sleep(1000)
    // Had the database been waited for in one go, few of a hundred would have had their turn.
    expect(waited).toBeGreaterThan(20)
    await release()
    await closed
    clearInterval(timer)
    expect([errors, await versions(db)]).toEqual([[], [{ number: 1, match_count: 1, matched: yes }]])
  })
})

test('an outcome names its kind, and holds all that an endpoint answers', async () => {
  const { store, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  const challenge = JSON.stringify({ type: 'url_verification', challenge: 'abc' })
  const event = slackEvent(message)
  expect([
    await receiver.slack(fromSlack(signingSecret(1), event)),
    await receiver.slack(fromSlack(signingSecret(1), challenge)),
    await receiver.slack(fromSlack(signingSecret(1), slackEvent({ ...message, bot_id: 'B1' }))),
    await receiver.slack(fromSlack(signingSecret(2), event)),
  ]).toEqual([
    {
      kind: 'event',
      status: 200,
      body: '',
      integration: expect.objectContaining({ name: 'support' }),
      others: [],
      event: { name: 'message', id: 'Ev1', retry: null, payload: JSON.parse(event) },
      version: 1,
      usedPreviousSecret: false,
      forget: expect.any(Function),
    },
    { kind: 'handled', status: 200, body: 'abc', detail: 'url_verification' },
    { kind: 'ignored', status: 200, body: '', reason: 'bot' },
    { kind: 'rejected', status: 401, body: '', reason: 'signature_mismatch' },
  ])
})

test('headers of Node, and a body that was read already', async () => {
  const { store, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  const body = slackEvent(message)
  const headers = slackHeaders(signingSecret(1), body)
  expect(brief(await receiver.slack(fromNode({ headers }, body)))).toEqual(['support', 'message', 1, 'current'])
  expect(brief(await receiver.slack(fromNode({ headers }, Buffer.from(body))))).toEqual([
    'support',
    'message',
    1,
    'current',
  ])
  const twice = { ...headers, 'x-slack-signature': [headers['x-slack-signature'] ?? '', 'v0=0'] }
  expect(brief(await receiver.slack(fromNode({ headers: twice }, body)))).toEqual([401, 'signature_malformed'])
})

test('a receiver that cannot work says so at its start', async () => {
  const { db } = await start('sqlite')
  const keys = { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' }
  await expect(createReceiver({ database: 'file:/nowhere/x.db', keys })).rejects.toMatchObject({
    code: 'DATABASE_MISSING',
  })
  await expect(createReceiver({ database: db.url, keys: { set: '{"keys":[]}' } })).rejects.toMatchObject({
    code: 'KEYS_MISSING',
  })
  expect(await db.query('SELECT id FROM integration_receivers')).toEqual([])
})

test('a user id that has no name receives as one that has', async () => {
  const { store, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const nameless = vi.spyOn(os, 'userInfo').mockImplementation(() => {
    throw new Error('no such user')
  })
  syncBuiltinESMExports()
  try {
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent({ type: 'app_uninstalled' }))))).toEqual([
      'support',
      'app_uninstalled',
      1,
      'current',
    ])
    expect(nameless).toHaveBeenCalled()
  } finally {
    nameless.mockRestore()
    syncBuiltinESMExports()
  }
})
