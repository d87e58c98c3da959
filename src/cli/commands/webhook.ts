import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { sendCommand } from './webhook/send.ts'
import { signCommand } from './webhook/sign.ts'
import { verifyCommand } from './webhook/verify.ts'

/** `integrations webhook` */
export const webhookCommand = (ctx: Context) =>
  new Command('webhook')
    .description(
      'The webhooks of an integration, with its stored secrets, of which none is shown: sign one as the platform does, see which secret made a signature or why none did, and send one to an endpoint.',
    )
    .addCommand(signCommand(ctx))
    .addCommand(verifyCommand(ctx))
    .addCommand(sendCommand(ctx))
