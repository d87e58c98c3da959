import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import { flagOf } from '../../integration.ts'
import { updateIntegration } from '../../operations/integrations/update.ts'
import type { Context } from '../context.ts'
import {
  appOption,
  createdByOption,
  declareChange,
  dryRunOption,
  each,
  examples,
  forceShapeOption,
  givenIds,
  idFlags,
  ifVersionOption,
  refArgument,
  withIdFlags,
} from '../input/arguments.ts'
import { outcomeOf } from '../output/values.ts'
import { differences } from '../views/changes.ts'
import { integrationView } from '../views/integration.ts'

const clearable = () => ['created-by', 'app', ...idFlags().map(({ flag }) => flag)]

/** @throws InvalidArgumentError */
function cleared(field: string): string {
  if (!clearable().includes(field)) throw new InvalidArgumentError(`Allowed choices are ${clearable().join(', ')}.`)
  return field
}

/** `integrations update` */
export const command = (ctx: Context) => {
  const command = new Command('update')
    .description('Change the name, the ids of the platform, the creator or the OAuth app. Secrets stay as they are.')
    .addArgument(refArgument())
    .addOption(new Option('--name <name>', 'new name'))
    .addOption(createdByOption())
    .addOption(appOption())
    .addOption(
      new Option('--unset <field>', `clear: ${clearable().join(', ')}; may be given several times`)
        .choices(clearable())
        .argParser(each(cleared)),
    )
    .addOption(forceShapeOption())
    .addOption(ifVersionOption())
    .addOption(dryRunOption())
  const described = withIdFlags(command).addHelpText(
    ...examples(
      'integrations update Acme/support --name help-desk',
      'integrations update Acme/support --slack-team-id T012AB3CD --unset slack-team-name',
    ),
  )
  return declareChange(described, ctx.output, integrationView).action(
    async (ref, { name, createdBy, app, unset = [], ...options }) => {
      const ids = givenIds(options)
      const nulls = Object.fromEntries(
        idFlags()
          .filter(({ flag }) => unset.includes(flag))
          .map(({ column }) => [column, null]),
      )
      const given = Object.entries({ createdBy, app }).flatMap(([field, value]) => (value === undefined ? [] : [field]))
      const both = [...Object.keys(ids), ...given].find((field) => unset.includes(flagOf(field)))
      if (both) throw badInput(`${flagOf(both)} is both given and unset`, 'keep one of the two')
      const nothing = name === undefined && given.length === 0 && unset.length === 0 && Object.keys(ids).length === 0
      if (nothing)
        throw badInput(
          'there is nothing to change',
          'pass --name, --created-by, --app, --unset or an id; see integrations update --help',
        )
      const changed = await updateIntegration(await ctx.store(), ref, {
        ...options,
        name,
        createdBy: unset.includes('created-by') ? null : createdBy,
        app: unset.includes('app') ? null : app,
        ids: { ...ids, ...nulls },
      })
      await ctx.output.change(integrationView, changed.after, {
        outcome: outcomeOf(changed.after !== changed.before, options.dryRun),
        sentence: differences(changed, options.dryRun),
      })
    },
  )
}
