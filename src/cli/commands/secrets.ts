import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { finishCommand } from './secrets/finish.ts'
import { listCommand } from './secrets/list.ts'
import { purgeCommand } from './secrets/purge.ts'
import { revealCommand } from './secrets/reveal.ts'
import { revertCommand } from './secrets/revert.ts'

/** `integrations secrets` */
export const secretsCommand = (ctx: Context) =>
  new Command('secrets')
    .description(
      'The versions of a secret. After a rotation the old value stays valid for a window of time: see who still uses it, end it early, or take it back.',
    )
    .addCommand(listCommand(ctx))
    .addCommand(finishCommand(ctx))
    .addCommand(revertCommand(ctx))
    .addCommand(revealCommand(ctx))
    .addCommand(purgeCommand(ctx))
