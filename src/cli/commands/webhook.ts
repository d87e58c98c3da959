import { group } from './group.ts'
import { command as send } from './webhook/send.ts'
import { command as sign } from './webhook/sign.ts'
import { command as verify } from './webhook/verify.ts'

/** `integrations webhook` */
export const command = group(
  'webhook',
  'The webhooks of an integration, with its stored secrets, which are never shown: sign a webhook as the platform does, see which secret made a signature or why none did, and send a webhook to an endpoint.',
  [sign, verify, send],
)
