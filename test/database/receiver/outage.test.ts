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
