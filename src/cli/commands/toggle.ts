import type { Context } from '../context.ts'
import { activationCommand } from './activation.ts'

/** `integrations toggle` */
export const command = (ctx: Context) =>
  activationCommand(ctx, 'toggle', { description: 'Switch an integration between active and inactive.', to: 'toggle' })
