import { activationCommand } from '../activation.ts'
import type { Context } from '../context.ts'

/** `integrations toggle` */
export const command = (ctx: Context) =>
  activationCommand(ctx, 'toggle', 'Switch an integration between active and inactive.', 'other')
