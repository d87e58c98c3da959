import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { checkpointCommand } from './audit/checkpoint.ts'
import { listCommand } from './audit/list.ts'
import { verifyCommand } from './audit/verify.ts'

/** `integrations audit` */
export const auditCommand = (ctx: Context) =>
  new Command('audit')
    .description(
      'The audit log: every change and every reading of a secret, each chained to the one before it by a key that is not in the database.',
    )
    .addCommand(listCommand(ctx))
    .addCommand(verifyCommand(ctx))
    .addCommand(checkpointCommand(ctx))
