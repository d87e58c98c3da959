import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestContext } from 'vitest'

/**
 * What a network does from a message of the client on: nothing more reaches the server; nothing more reaches the client;
 * neither; both ends are told that the connection is gone; or all that is sent comes late.
 */
export const faults = ['deaf server', 'deaf client', 'silent', 'cut', 'slow'] as const
/** One of these. */
export type Fault = (typeof faults)[number]

/** How late each part comes on a slow network, in milliseconds. */
export const slowMs = 150

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
  /** As `failAt`, at a message of the connections that are made from now on; but then all fail, and all that are made. */
  breakAt(message: number, fault: Fault): void
  /** Connections go through again; those that failed stay as they are. */
  pass(): void
  /** How many messages held the text, or had the number. */
  seen(): number
  /** How many messages came on connections that were made since `breakAt` or `pass`. */
  messages(): number
}

/** Starts a proxy before the server of a URL, for a test. A client that goes away is not told to the server once it has failed. */
export async function startFaultProxy(
  url: string,
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
): Promise<FaultProxy> {
  const target = new URL(url)
  let at: string | number | undefined
  let messages = 0
  let fault: Fault = 'silent'
  let seen = 0
  let todo: { readonly text: string; readonly what: () => Promise<void> } | undefined
  const sockets = new Set<Socket>()
  let whole: { readonly at: number; readonly fault: Fault } | undefined
  /** Since when connections count, and how many messages they had. */
  let counting = { messages: 0 }
  /** What all connections meet. */
  let broken: Fault | undefined
  const failures = new Set<(fault: Fault) => void>()
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname)
    const counted = counting
    let failing: Fault | undefined = at === '' ? fault : broken
    const late = new Map<Socket, Promise<void>>()
    const send = (socket: Socket, data: Buffer) => {
      const write = () => void socket.write(data)
      if (failing !== 'slow') write()
      else late.set(socket, (late.get(socket) ?? Promise.resolve()).then(() => sleep(slowMs)).then(write))
    }
    const close = () => {
      if (failing && failing !== 'cut' && failing !== 'slow') return
      client.destroy()
      upstream.destroy()
    }
    const fail = (what: Fault) => {
      failing = what
      if (what === 'cut') close()
    }
    failures.add(fail)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', close).on('close', () => {
        failures.delete(fail)
        close()
      })
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
        fail(fault)
      }
      if (whole?.at === ++counted.messages && counted === counting) {
        broken = whole.fault
        for (const one of failures) one(broken)
      }
      if (failing !== 'deaf server' && failing !== 'silent' && failing !== 'cut') send(upstream, data)
    })
    upstream.on('data', (data) => {
      if (failing !== 'deaf client' && failing !== 'silent' && failing !== 'cut') send(client, data)
    })
    if (failing === 'cut') close()
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
    breakAt: (message, what) => {
      whole = { at: message, fault: what }
      counting = { messages: 0 }
    },
    pass: () => {
      at = undefined
      whole = undefined
      broken = undefined
      counting = { messages: 0 }
    },
    seen: () => seen,
    messages: () => counting.messages,
  }
}
