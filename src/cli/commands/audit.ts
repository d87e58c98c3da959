import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as checkpoint } from './audit/checkpoint.ts'
import { command as list } from './audit/list.ts'
import { command as verify } from './audit/verify.ts'

/** `integrations audit` */
export const command = (ctx: Context) =>
  new Command('audit')
    .description(
      'The audit log: every change and every access to a secret, each event chained to the previous event with a key that is not in the database.',
    )
    .addCommand(list(ctx))
    .addCommand(verify(ctx))
    .addCommand(checkpoint(ctx))
