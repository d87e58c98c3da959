import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'vitest'

/**
 * What a network does from a message of the client on: nothing more reaches the server; nothing more reaches the client;
 * neither; or both ends are told that the connection is gone.
 */
export type Fault = 'deaf server' | 'deaf client' | 'silent' | 'cut'

/** A network between a client and a PostgreSQL server that can fail. */
export interface FaultProxy {
  /** The URL of the database, through it. */
  readonly url: string
  /**
   * From the next message of a client on that holds a text, or the message of a number from now on, every connection
   * fails; `''`: before it is made.
   */
  failAt(at: string | number, fault: Fault): void
  /** Before the next message of a client that holds a text goes on, once, something is done. */
  doAt(text: string, what: () => Promise<void>): void
  /** Connections go through again; those that failed stay as they are. */
  pass(): void
  /** How many messages held the text, or had the number. */
  seen(): number
}

/** Starts a proxy before the server of a URL, for a test. A client that goes away is not told to the server once it has failed. */
export async function startFaultProxy(url: string, { onTestFinished }: TestContext): Promise<FaultProxy> {
  const target = new URL(url)
  let at: string | number | undefined
  let messages = 0
  let fault: Fault = 'silent'
  let seen = 0
  let todo: { readonly text: string; readonly what: () => Promise<void> } | undefined
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname)
    let failing: Fault | undefined = at === '' ? fault : undefined
    const close = () => {
      if (failing && failing !== 'cut') return
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', close).on('close', close)
    }
    client.on('data', async (data) => {
      if (todo && data.includes(todo.text)) {
        const { what } = todo
        todo = undefined
        seen++
        client.pause()
        await what()
        client.resume()
      }
      messages++
      if (at && (typeof at === 'number' ? messages === at : data.includes(at))) {
        seen++
        failing = fault
        if (fault === 'cut') return close()
      }
      if (failing !== 'deaf server' && failing !== 'silent') upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (failing !== 'deaf client' && failing !== 'silent') client.write(data)
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return {
    url: Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href,
    failAt: (where, what) => {
      at = where
      fault = what
      messages = 0
    },
    doAt: (text, what) => {
      todo = { text, what }
    },
    pass: () => {
      at = undefined
    },
    seen: () => seen,
  }
}
