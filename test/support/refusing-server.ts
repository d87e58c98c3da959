import { createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** What the server answers to a connection, as bytes of the PostgreSQL protocol. */
export type Answer = Buffer

const message = (type: string, body: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, body])
}

/** An error of a server or a pooler. */
export const refusalOf = (state: string, words: string): Answer =>
  message('E', Buffer.from(`SFATAL\0VFATAL\0C${state}\0M${words}\0\0`))

/** The question for a password by SCRAM. */
export const scram: Answer = message('R', Buffer.from('\0\0\0\nSCRAM-SHA-256\0\0'))

/** A server that gives one answer to everybody who connects. @returns its port */
export async function refusingServer(answer: Answer): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => socket.write(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as { port: number }).port
}
