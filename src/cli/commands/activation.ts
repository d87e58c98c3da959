import { setActive } from '../../operations/integrations/set-active.ts'
import type { Context } from '../context.ts'
import { examples } from '../input/arguments.ts'
import { outcomeOf } from '../output/values.ts'
import { differences } from '../views/changes.ts'
import { integrationView } from '../views/integration.ts'
import { changeCommand } from './change.ts'

/** What `enable`, `disable` and `toggle` have in common. */
export const activationCommand = (
  ctx: Context,
  name: 'enable' | 'disable' | 'toggle',
  { description, to }: { readonly description: string; readonly to: boolean | 'toggle' },
) =>
  changeCommand(ctx, name)
    .description(description)
    .addHelpText(...examples(`integrations ${name} Acme/support`))
    .action(async (ref, options) => {
      const changed = await setActive(await ctx.store(), ref, { ...options, to })
      await ctx.output.change(integrationView, changed.after, {
        outcome: outcomeOf(changed.after !== changed.before, options.dryRun),
        sentence: differences(changed, options.dryRun, `is already ${changed.after.isActive ? 'enabled' : 'disabled'}`),
      })
    })
