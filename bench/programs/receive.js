import { createReceiver, fromNode } from 'integrations-admin/receiver'
import { requests } from './requests.js'

/** Receives as many webhooks as the argument says, for a hundred integrations of the database, their use included. */
const { DATABASE_URL: database, INTEGRATIONS_KEYS_FILE: file } = process.env
const receiver = await createReceiver({ database, keys: { file } })
for (const { integrationId, headers, body } of requests(Number(process.argv[2])))
  if ((await receiver.pylon(fromNode({ headers }, body), { integrationId })).kind !== 'event')
    throw new Error('it was refused')
await receiver.close()
