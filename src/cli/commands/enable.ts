import type { Context } from '../context.ts'
import { activationCommand } from './activation.ts'

/** `integrations enable` */
export const command = (ctx: Context) =>
  activationCommand(ctx, 'enable', {
    description: 'Make an integration active. An integration that is active stays so.',
    to: true,
  })
