import type { Context } from '../context.ts'
import { activationCommand } from './activation.ts'

/** `integrations disable` */
export const command = (ctx: Context) =>
  activationCommand(ctx, 'disable', {
    description: 'Make an integration inactive. An integration that is inactive stays so.',
    to: false,
  })
