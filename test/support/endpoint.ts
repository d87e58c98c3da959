import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An endpoint of an application, on this machine. */
export interface Endpoint {
  readonly url: string
  /** What arrived, in order. */
  readonly requests: {
    readonly method: string | undefined
    readonly path: string | undefined
    readonly headers: IncomingHttpHeaders
    readonly body: string
  }[]
  /** What is answered from now on. */
  answer: {
    readonly status: number
    readonly headers?: Record<string, string>
    readonly body?: string
    /** What happens first. */
    readonly after?: () => Promise<unknown>
  }
}

/** Starts an endpoint that answers with 200 until it is told otherwise, and ends with the process. */
export async function startEndpoint(): Promise<Endpoint> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method, url: path, headers } = request
    endpoint.requests.push({ method, path, headers, body: Buffer.concat(chunks).toString() })
    await endpoint.answer.after?.()
    response.writeHead(endpoint.answer.status, endpoint.answer.headers).end(endpoint.answer.body)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  server.unref()
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`,
    requests: [],
    answer: { status: 200 },
  }
  return endpoint
}
