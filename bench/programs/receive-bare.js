import { createHmac, timingSafeEqual } from 'node:crypto'
import { requests, secretOf } from './requests.js'

/** Checks the same webhooks with Node's own functions alone, the secrets at hand. */
for (const { integrationId, headers, body } of requests(Number(process.argv[2]))) {
  const digest = createHmac('sha256', secretOf(integrationId)).update(body).digest()
  if (!timingSafeEqual(digest, Buffer.from(headers['x-pylon-signature'], 'hex'))) throw new Error('it was refused')
  if (typeof JSON.parse(body).event_type !== 'string') throw new Error('it has no name')
}
