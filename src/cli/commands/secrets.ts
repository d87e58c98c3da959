import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as finish } from './secrets/finish.ts'
import { command as list } from './secrets/list.ts'
import { command as purge } from './secrets/purge.ts'
import { command as reveal } from './secrets/reveal.ts'
import { command as revert } from './secrets/revert.ts'

/** `integrations secrets` */
export const command = (ctx: Context) =>
  new Command('secrets')
    .description(
      'The versions of a secret. After a rotation the previous secret stays valid for a grace period: see whether it is still used, expire it early, or make it current again.',
    )
    .addCommand(list(ctx))
    .addCommand(finish(ctx))
    .addCommand(revert(ctx))
    .addCommand(reveal(ctx))
    .addCommand(purge(ctx))
