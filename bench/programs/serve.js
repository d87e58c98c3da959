import { createServer } from 'node:http'
import { createReceiver, fromNode } from 'integrations-admin/receiver'

/** Receives webhooks of Slack at /slack, and of GitHub at /<id of the integration>, until standard input ends. */
const { DATABASE_URL: database, INTEGRATIONS_KEYS_FILE: file } = process.env
const receiver = await createReceiver({ database, keys: { file }, onError: () => {} })
const server = createServer(async (request, response) => {
  const integrationId = request.url.slice(1)
  const { status, body } =
    integrationId === 'slack'
      ? await receiver.slack(fromNode(request))
      : await receiver.github(fromNode(request), { integrationId })
  response.writeHead(status).end(body)
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
process.stdin.resume().once('end', () => {
  // Connections that never end would keep the process.
  server.close().closeAllConnections()
  receiver.close()
})
