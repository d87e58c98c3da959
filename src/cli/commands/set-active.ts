import { Command } from '@commander-js/extra-typings'
import { setActive } from '../../operations/integrations/set-active.ts'
import type { Context } from '../context.ts'
import { declareOutput, dryRunOption, examples, ifVersionOption, refArgument } from '../input/arguments.ts'
import { differences } from '../views/changes.ts'
import { integrationView } from '../views/integration.ts'

const command = (ctx: Context, name: string, description: string, to: boolean | 'other') =>
  declareOutput(
    new Command(name)
      .description(description)
      .addArgument(refArgument())
      .addOption(ifVersionOption())
      .addOption(dryRunOption())
      .addHelpText('after', examples(`integrations ${name} Acme/support`)),
    ctx.output,
    integrationView,
  ).action(async (ref, options) => {
    const changed = await setActive(await ctx.store(), ref, to, options)
    await ctx.output.change(integrationView, changed.after, differences(changed, options.dryRun))
  })

/** `integrations enable` */
export const enableCommand = (ctx: Context) =>
  command(ctx, 'enable', 'Make an integration active. It stays so when it is already.', true)

/** `integrations disable` */
export const disableCommand = (ctx: Context) =>
  command(ctx, 'disable', 'Make an integration inactive. It stays so when it is already.', false)

/** `integrations toggle` */
export const toggleCommand = (ctx: Context) =>
  command(ctx, 'toggle', 'Switch an integration between active and inactive.', 'other')
