import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as send } from './webhook/send.ts'
import { command as sign } from './webhook/sign.ts'
import { command as verify } from './webhook/verify.ts'

/** `integrations webhook` */
export const command = (ctx: Context) =>
  new Command('webhook')
    .description(
      'The webhooks of an integration, with its stored secrets, which are never shown: sign a webhook as the platform does, see which secret made a signature or why none did, and send a webhook to an endpoint.',
    )
    .addCommand(sign(ctx))
    .addCommand(verify(ctx))
    .addCommand(send(ctx))
