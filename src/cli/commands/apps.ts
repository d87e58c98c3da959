import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as add } from './apps/add.ts'
import { command as list } from './apps/list.ts'
import { command as remove } from './apps/remove.ts'

/** `integrations apps` */
export const command = (ctx: Context) =>
  new Command('apps')
    .description(
      'OAuth apps: the client id and secret with which a platform lets tokens be refreshed. The secret is sealed, and never shown. An integration names its app with update --app; where a platform has a single app here, that one serves.',
    )
    .addCommand(add(ctx))
    .addCommand(list(ctx))
    .addCommand(remove(ctx))
