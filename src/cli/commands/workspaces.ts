import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as add } from './workspaces/add.ts'
import { command as list } from './workspaces/list.ts'
import { command as remove } from './workspaces/remove.ts'
import { command as rename } from './workspaces/rename.ts'
import { command as show } from './workspaces/show.ts'

/** `integrations workspaces` */
export const command = (ctx: Context) =>
  new Command('workspaces')
    .description(
      'Workspaces, to which integrations belong. In an adopted database the application owns the workspaces, and this program only reads them.',
    )
    .addCommand(add(ctx))
    .addCommand(list(ctx))
    .addCommand(show(ctx))
    .addCommand(rename(ctx))
    .addCommand(remove(ctx))
