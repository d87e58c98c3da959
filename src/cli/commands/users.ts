import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as add } from './users/add.ts'
import { command as list } from './users/list.ts'
import { command as remove } from './users/remove.ts'

/** `integrations users` */
export const command = (ctx: Context) =>
  new Command('users')
    .description(
      'Users, who create integrations. In an adopted database the application owns the users, and this program only reads them.',
    )
    .addCommand(add(ctx))
    .addCommand(list(ctx))
    .addCommand(remove(ctx))
