// Receives webhooks of Slack at /slack, and of Pylon at /pylon/<id of the integration>.
//
//   DATABASE_URL=… INTEGRATIONS_KEYS_FILE=… PORT=3000 node examples/receiver/server.js
import { createServer } from 'node:http'
import { createReceiver, fromNode } from 'integrations-admin/receiver'

const receiver = await createReceiver({
  database: process.env.DATABASE_URL,
  keys: { file: process.env.INTEGRATIONS_KEYS_FILE },
  onError: (error) => console.error(error.code ?? error.name, error.message),
})

const server = createServer(async (request, response) => {
  const outcome = await receive(request)
  response.writeHead(outcome.status, { 'content-type': 'text/plain' }).end(outcome.body)
  if ('reason' in outcome) console.log(`${outcome.kind}: ${outcome.reason}`)
  // Slack waits 3 seconds: answer first, work then.
  if (outcome.kind === 'event') await handle(outcome).catch(outcome.forget)
})

async function receive(request) {
  const [route, integrationId] = request.url.split('/').slice(1)
  if (request.method === 'POST' && route === 'slack') return receiver.slack(fromNode(request))
  if (request.method === 'POST' && route === 'pylon') return receiver.pylon(fromNode(request), { integrationId })
  return { kind: 'rejected', status: 404, body: '' }
}

async function handle({ integration, event }) {
  console.log(`${integration.workspace}/${integration.name}: ${event.name}`)
}

server.listen(process.env.PORT ?? 3000, '127.0.0.1', () => console.log(`listening on ${server.address().port}`))

process.once('SIGTERM', () => {
  server.close(() => receiver.close())
})
