import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import { flagOf } from '../../integration.ts'
import { checkTagKey } from '../../operations/integrations/labels.ts'
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
import { labelledView } from '../views/integration.ts'
import { givenLabels, withLabelOptions } from './labels.ts'

const clearable = () => ['created-by', 'app', 'owner', 'note', ...idFlags().map(({ flag }) => flag)]

/** @throws InvalidArgumentError */
function cleared(field: string): string {
  if (field === 'tag') throw new InvalidArgumentError('to remove a tag: --untag <tag-key>')
  if (!clearable().includes(field)) throw new InvalidArgumentError(`Allowed choices are ${clearable().join(', ')}.`)
  return field
}

/** @throws InvalidArgumentError, BAD_INPUT */
function untagged(key: string): string {
  const [alone = ''] = key.split('=')
  if (alone !== key) throw new InvalidArgumentError(`pass the key alone: --untag ${alone}`)
  return checkTagKey(key, `--unset ${key}`)
}

/** `integrations update` */
export const command = (ctx: Context) => {
  const command = new Command('update')
    .description(
      'Change the name, the ids of the platform, the creator, the OAuth app or the labels: owner, tags and note. Secrets stay as they are.',
    )
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
  const described = withLabelOptions(withIdFlags(command))
    .addOption(
      new Option('--untag <tag-key>', 'remove the tag with this key; may be given several times').argParser(
        each(untagged),
      ),
    )
    .addHelpText(
      ...examples(
        'integrations update Acme/support --name help-desk',
        'integrations update Acme/support --slack-team-id T012AB3CD --unset slack-team-name',
        'integrations update Acme/support --owner team-payments --tag env=production --untag trial',
      ),
    )
  return declareChange(described, ctx.output, labelledView).action(
    async (ref, { name, createdBy, app, unset = [], untag = [], ...options }) => {
      const ids = givenIds(options)
      const nulls = Object.fromEntries(
        idFlags()
          .filter(({ flag }) => unset.includes(flag))
          .map(({ column }) => [column, null]),
      )
      const { owner, note, tags = {} } = givenLabels(options, untag)
      const given = Object.entries({ createdBy, app, owner, note }).flatMap(([field, value]) =>
        value === undefined ? [] : [field],
      )
      const both = [...Object.keys(ids), ...given].find((field) => unset.includes(flagOf(field)))
      if (both) throw badInput(`${flagOf(both)} is both given and unset`, 'keep one of the two')
      const changes = [...given, ...unset, ...Object.keys(ids), ...Object.keys(tags)]
      if (name === undefined && changes.length === 0)
        throw badInput(
          'there is nothing to change',
          'pass --name, --created-by, --app, --owner, --tag, --note, --unset or an id; see integrations update --help',
        )
      const changed = await updateIntegration(await ctx.store(), ref, {
        ...options,
        name,
        createdBy: unset.includes('created-by') ? null : createdBy,
        app: unset.includes('app') ? null : app,
        ids: { ...ids, ...nulls },
        labels: {
          owner: unset.includes('owner') ? null : owner,
          note: unset.includes('note') ? null : note,
          tags,
        },
      })
      // Among other values that it has already, a tag that it lacks is what was asked for.
      const absent = untag.length === changes.length && name === undefined ? untag.join(', ') : undefined
      await ctx.output.change(labelledView, changed.after, {
        outcome: outcomeOf(changed.after !== changed.before, options.dryRun),
        sentence: differences(changed, options.dryRun, absent && `has no tag ${absent}`),
      })
    },
  )
}
