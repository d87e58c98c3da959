import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { runInProcess } from '../../support/in-process.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromPylon, fromSlack, message, slackEvent } from '../../support/webhooks.ts'

const ends: (() => unknown)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A network between a receiver and its database that can be cut, so that nothing connects, or fall silent. */
async function networkTo(url: string) {
  const target = new URL(url)
  let state: 'up' | 'cut' | 'silent' = 'up'
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    if (state === 'cut') {
      near.destroy()
      return
    }
    const far = connect(Number(target.port), target.hostname)
    for (const socket of [near, far])
      sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    near.on('data', (bytes) => state === 'up' && far.write(bytes))
    far.on('data', (bytes) => state === 'up' && near.write(bytes))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const set = (to: typeof state) => {
    state = to
    if (to !== 'silent') for (const socket of sockets) socket.destroy()
  }
  ends.push(() => {
    set('cut')
    server.close()
  })
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((server.address() as AddressInfo).port)
  return { url: through.href, set }
}

const current = ['support', 'message', 1, 'current']

test('webhooks are accepted while the database is away, and a secret that ended is refused once it is back', async () => {
  const { db, store, receive } = await start('postgresql')
  const id = await add(store, 'support', signingSecret(1))
  const network = await networkTo(db.url)
  const receiver = await receive({ database: network.url })
  const send = async (secret: string) => brief(await receiver.slack(fromSlack(secret)))
  expect(await send(signingSecret(1))).toEqual(current)
  const rotated = await runInProcess(['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--dry-run'], {
    env: { DATABASE_URL: db.url },
    input: signingSecret(2),
  })
  expect([rotated.code, rotated.stderr]).toEqual([
    0,
    expect.stringContaining(
      'the previous webhook-secret would be refused within 0 s; within 300 s at a receiver that cannot reach the database; receivers that have not reported their limits within a day may take longer\n',
    ),
  ])
  network.set('cut')
  expect(await send(signingSecret(1))).toEqual(current)
  await rotate(store, id, signingSecret(2), 0)
  // What it cannot know of, it accepts until the limit; what it does not know may be right.
  expect([await send(signingSecret(1)), await send(signingSecret(2))]).toEqual([current, [503, 'unavailable']])
  network.set('up')
  expect([await send(signingSecret(2)), await send(signingSecret(1))]).toEqual([
    ['support', 'message', 2, 'current'],
    [401, 'signature_mismatch'],
  ])
  network.set('silent')
  expect(await send(signingSecret(2))).toEqual(['support', 'message', 2, 'current'])
})

test('a webhook that also claims an id that was never seen is accepted while the database is away', async () => {
  const { db, store, errors, receive } = await start('postgresql')
  await add(store, 'support', signingSecret(1))
  await add(store, 'other', signingSecret(2), { team: 'T222AB3CD' })
  const network = await networkTo(db.url)
  const receiver = await receive({ database: network.url, remember: 60 })
  const send = async (secret: string, ids: object) =>
    brief(await receiver.slack(fromSlack(secret, slackEvent(message, { authorizations: [ids] }))))
  const known = { team_id: 'T012AB3CD' }
  expect(await send(signingSecret(1), known)).toEqual(current)
  errors.length = 0
  const unavailable = [503, 'unavailable']
  for (const [state, never] of [
    ['cut', 'E111AB3CD'],
    ['silent', 'E222AB3CD'],
  ] as const) {
    network.set(state)
    const both = { ...known, enterprise_id: never }
    expect(await send(signingSecret(1), both)).toEqual(current)
    // The id that was never seen may have the right secret.
    if (state === 'cut') {
      expect(await send(signingSecret(2), both)).toEqual(unavailable)
      expect(await send(signingSecret(2), { team_id: 'T222AB3CD', enterprise_id: never })).toEqual(unavailable)
    }
  }
  network.set('cut')
  expect(errors).toEqual(errors.map(() => expect.objectContaining({ code: 'DATABASE_UNREACHABLE' })))
})

test('a receiver starts while its database is away, and ends when it is silent', async () => {
  const { db, store, errors, receive } = await start('postgresql')
  await add(store, 'support', signingSecret(1))
  const network = await networkTo(db.url)
  network.set('cut')
  const receiver = await receive({ database: network.url })
  const send = async () => brief(await receiver.slack(fromSlack(signingSecret(1))))
  expect([await send(), errors[0]]).toEqual([
    [503, 'unavailable'],
    expect.objectContaining({ code: 'DATABASE_UNREACHABLE' }),
  ])
  await expect(receiver.token('support')).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
  await receiver.flush()
  network.set('up')
  await expect.poll(send, { timeout: 30_000 }).toEqual(current)
  network.set('silent')
  await receiver.close()
  // One that has never begun ends too.
  network.set('cut')
  await (await receive({ database: network.url })).close()
  // What is wrong stays refused at once.
  await expect(receive({ database: 'mysql://localhost/app' })).rejects.toMatchObject({ code: 'BAD_INPUT' })
})

test('a receiver that has just begun knows the integrations that were used last, of which it tells no errors', async () => {
  const { db, store, errors, receive } = await start('postgresql')
  await add(store, 'support', signingSecret(1))
  await add(store, 'unused', signingSecret(2), { team: 'T222AB3CD' })
  const desk = await add(store, 'desk', 'desk-secret', { platform: 'pylon' })
  const broken = await add(store, 'broken', signingSecret(3), { team: 'T333AB3CD' })
  const body = JSON.stringify({ event: 'issue.created' })
  const another = await receive()
  const accepted = [
    brief(await another.slack(fromSlack(signingSecret(1)))),
    brief(await another.pylon(fromPylon('desk-secret', body), { integrationId: desk })),
    brief(await another.slack(fromSlack(signingSecret(3), slackEvent(message, { team_id: 'T333AB3CD' })))),
  ]
  expect(accepted).toEqual([current, expect.anything(), ['broken', 'message', 1, 'current']])
  await another.close()
  await db.query("UPDATE integrations SET webhook_secret = 'not a JWE' WHERE id = ?", broken)
  const network = await networkTo(db.url)
  const known = [...accepted.slice(0, 2), [503, 'unavailable']]
  let said: unknown[] = []
  // No webhook comes while the database is there; a busy machine may take long to look the integrations up.
  for (const waitMs of [200, 2000, 20_000]) {
    const receiver = await receive({ database: network.url })
    await sleep(waitMs)
    expect(errors.splice(0)).toEqual([])
    network.set('cut')
    said = [
      brief(await receiver.slack(fromSlack(signingSecret(1)))),
      brief(await receiver.pylon(fromPylon('desk-secret', body), { integrationId: desk })),
      brief(await receiver.slack(fromSlack(signingSecret(2), slackEvent(message, { team_id: 'T222AB3CD' })))),
    ]
    expect(new Set(errors.splice(0).map((error) => (error as { code: string }).code))).toEqual(
      new Set(['DATABASE_UNREACHABLE']),
    )
    network.set('up')
    if (isDeepStrictEqual(said, known)) break
  }
  expect(said).toEqual(known)
})

test('a receiver starts at a database that can only be read, and accepts webhooks there', async () => {
  const { db, store, errors, receive } = await start('postgresql')
  await add(store, 'support', signingSecret(1))
  const [{ name }] = (await db.query('SELECT current_database() AS name')) as [{ name: string }]
  await db.query(`ALTER DATABASE "${name}" SET default_transaction_read_only = on`)
  const receiver = await receive()
  expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toEqual(current)
  expect(errors).toEqual([expect.objectContaining({ code: 'DATABASE_READ_ONLY' })])
  await db.query('SET default_transaction_read_only = off')
  await db.query(`ALTER DATABASE "${name}" RESET default_transaction_read_only`)
})
