import { Command, Option } from '@commander-js/extra-typings'
import { findAudited } from '../../../operations/find.ts'
import { verdicts } from '../../../platforms/platform.ts'
import { actions } from '../../../store/audit/actions.ts'
import { eventSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import {
  declareOutput,
  examples,
  page,
  wholeNumber,
  withPageOptions,
  withText,
  wrapped,
} from '../../input/arguments.ts'
import { actionFilter, auditedField, auditedFields } from '../../input/audit-filters.ts'
import { past, pastForms } from '../../input/time.ts'
import { printRows } from '../../output/listing.ts'
import { eventView } from '../../views/audit.ts'

/** `integrations audit list` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('list'), ctx.output, eventView)
    .summary('list events')
    .description(
      'List events, newest first. Filters combine. The actor is self-declared, not proof: the identity of a CI system, else os:user@host, and the name given with --as. The database role is recorded by PostgreSQL. Needs no keys.',
    )
    .addOption(
      new Option(
        '--ref <ref>',
        'about the thing that has this id or name, or had it when the event was recorded, even if removed since; the first 6 characters of an id suffice',
      ),
    )
    .addOption(
      new Option(
        '--action <action>',
        'with this action, as in secret.rotate; secret alone means every action on secrets; see Actions below',
      ).argParser(actionFilter),
    )
    .addOption(
      new Option('--field <field>', 'that changed, read or used this field')
        .choices(auditedFields)
        .argParser(auditedField),
    )
    .addOption(
      new Option('--verdict <verdict>', 'in which a platform gave this verdict on an access token').choices(verdicts),
    )
    .addOption(new Option('--actor <text>', withText('the actor or the role')))
    .addOption(new Option('--since <when>', `since ${pastForms}`).argParser(past))
    .addOption(new Option('--until <when>', 'before such a moment').argParser(past))
  return withPageOptions(command, eventSorts, { order: '-seq', cursorOf: (text) => String(wholeNumber(1)(text)) })
    .addHelpText(
      ...examples(
        'integrations audit list --ref Acme/support',
        'integrations audit list --action secret --since 7d -o json',
        'integrations audit list --field config --since yesterday',
        'integrations audit list --actor github:ana --sort seq --all -o jsonl',
      ),
    )
    .addHelpText('after', `\nActions:\n${wrapped(actions.join(', '))}`)
    .action(async ({ ref, action, field, verdict, actor, since, until, ...options }) => {
      const store = await ctx.store()
      const targetIds = ref === undefined ? undefined : await store.read((db) => findAudited(db, ref))
      if (targetIds && targetIds.length > 1)
        ctx.output.note(`${JSON.stringify(ref)} matches ${targetIds.length} things: ${targetIds.join(', ')}`)
      const filter = { targetIds, action, field, verdict, actor, since, until }
      await printRows(ctx, eventView, { table: (db) => db.audit, filter, page: page(options, ctx.output) })
    })
}
