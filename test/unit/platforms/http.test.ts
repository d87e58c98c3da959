import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createClient } from '../../../src/platforms/http.ts'

test('a request that must not get lost has a connection of its own', async ({ onTestFinished }) => {
  const used = new Set<Socket>()
  const server = createServer(({ socket }, response) => {
    // As a platform that has closed an idle connection by the time of the next request.
    if (used.has(socket)) return void socket.destroy()
    used.add(socket)
    response.end('{}')
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as { port: number }
  const ask = createClient(new URL(`http://127.0.0.1:${port}/`))
  for (let i = 0; i < 3; i++)
    expect(await ask('exchange', { method: i === 1 ? 'DELETE' : 'POST', once: true })).toMatchObject({
      answered: true,
      text: '{}',
    })
})
