import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as add } from './apps/add.ts'
import { command as list } from './apps/list.ts'
import { command as remove } from './apps/remove.ts'

/** `integrations apps` */
export const command = (ctx: Context) =>
  new Command('apps')
    .description(
      'OAuth apps: the client id and client secret with which access tokens are refreshed. The client secret is encrypted, and never shown. An integration names its app with update --app; the only app of a platform needs no naming.',
    )
    .addCommand(add(ctx))
    .addCommand(list(ctx))
    .addCommand(remove(ctx))
