import { createHmac } from 'node:crypto'
import { createReceiver, fromNode } from 'integrations-admin/receiver'

/**
 * Receives webhooks of Slack, `cold.js <count> <secret>`, 20 at once, each for a team of its own that `addSealed` has added:
 * nothing is remembered, so that each is looked up in the database.
 */
const [count, secret] = process.argv.slice(2)
const { DATABASE_URL: database, INTEGRATIONS_KEYS_FILE: file } = process.env
const receiver = await createReceiver({ database, keys: { file }, remember: 0, staleSeconds: 0 })

async function receive(i) {
  const body = JSON.stringify({
    type: 'event_callback',
    event_id: `Ev${i}`,
    team_id: `TKNOWN${i}`,
    event: { type: 'message', text: 'hi' },
  })
  const at = Math.floor(Date.now() / 1000)
  const headers = {
    'content-type': 'application/json',
    'x-slack-request-timestamp': String(at),
    'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`,
  }
  const { kind } = await receiver.slack(fromNode({ headers }, Buffer.from(body)))
  if (kind !== 'event') throw new Error(`it was ${kind}`)
}

let next = 0
const inTurn = async () => {
  while (next < Number(count)) await receive(next++)
}
await Promise.all(Array.from({ length: 20 }, inTurn))
await receiver.close()
