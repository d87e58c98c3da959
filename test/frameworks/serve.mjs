// Serves what a module exports, `app` or `handler`, on any port, until SIGTERM: node serve.mjs <how> <module>
import { createServer } from 'node:http'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'

const [how, file] = process.argv.slice(2)
const { app, handler } = await import(pathToFileURL(resolve(file)).href)

const listeners = {
  express: () => app,
  koa: () => app.callback(),
  fastify: async () => {
    await app.ready()
    return app.routing
  },
  hono: async () => (await import('@hono/node-server')).getRequestListener(app.fetch),
  'api-gateway-1': () => gateway((request, body) => eventOfRestApi(request, body, body.toString(), false)),
  'api-gateway-1-base64': () =>
    gateway((request, body) => eventOfRestApi(request, body, body.toString('base64'), true)),
  'api-gateway-2': () => gateway(eventOfHttpApi),
}

const server = createServer(await listeners[how]())
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port} in ${process.pid}`))
process.once('SIGTERM', async () => {
  // No request is under way, and Hono may leave the connection of a body open that was too large.
  server.close()
  server.closeAllConnections()
  await (await globalThis.receiver)?.close()
})

/** API Gateway in front of a Lambda function. */
function gateway(eventOf) {
  return async (request, response) => {
    const answer = await handler(eventOf(request, await buffer(request)), { awsRequestId: '1' })
    const { statusCode, headers = {}, body = '', isBase64Encoded = false } = answer
    response.writeHead(statusCode, headers).end(Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8'))
  }
}

const idIn = (path) => path.split('/')[2]

/** Version 1 keeps the case of headers, and has null for what is not there. */
function eventOfRestApi({ url, method, rawHeaders }, _bytes, body, isBase64Encoded) {
  const pairs = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1]]] : []))
  const id = idIn(url)
  return {
    resource: id ? '/github/{id}' : url,
    path: url,
    httpMethod: method,
    headers: Object.fromEntries(pairs),
    multiValueHeaders: Object.fromEntries(pairs.map(([name, value]) => [name, [value]])),
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    pathParameters: id ? { id } : null,
    stageVariables: null,
    requestContext: { httpMethod: method, path: url, stage: 'test', identity: { sourceIp: '127.0.0.1' } },
    body,
    isBase64Encoded,
  }
}

/** Version 2 has headers in lower case, and leaves out what is not there. */
function eventOfHttpApi({ url, method, headers }, bytes) {
  const id = idIn(url)
  return {
    version: '2.0',
    routeKey: id ? 'POST /github/{id}' : `POST ${url}`,
    rawPath: url,
    rawQueryString: '',
    headers,
    ...(id ? { pathParameters: { id } } : {}),
    requestContext: {
      domainName: 'api.example.com',
      http: { method, path: url, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
      stage: '$default',
    },
    body: bytes.toString('base64'),
    isBase64Encoded: true,
  }
}
