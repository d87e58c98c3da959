import { createHmac } from 'node:crypto'

/** The secret of an integration that bench/data.ts has added. */
export const secretOf = (id) => `value-of-${id}`

/** Webhooks of Pylon for a hundred integrations, each another. */
export function* requests(count) {
  for (let i = 0; i < count; i++) {
    const integrationId = `sealed-${String(i % 100).padStart(8, '0')}`
    const body = `{"event_type":"issue_new","issue_id":"${i}","title":"${'A customer writes. '.repeat(20)}"}`
    const signature = createHmac('sha256', secretOf(integrationId)).update(body).digest('hex')
    yield { integrationId, body, headers: { 'content-type': 'application/json', 'x-pylon-signature': signature } }
  }
}
