import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { runInProcess } from '../../support/in-process.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack } from '../../support/webhooks.ts'

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
      'the previous webhook-secret would be refused within 0 s; within 300 s at a receiver that cannot reach the database',
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
