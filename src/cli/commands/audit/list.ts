import { Command, Option } from '@commander-js/extra-typings'
import { findAudited } from '../../../operations/find.ts'
import type { EventFilter } from '../../../store/tables/events.ts'
import { eventSorts } from '../../../store/tables/sorts.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, page, pageOptions, wholeNumber } from '../../input/arguments.ts'
import { past } from '../../input/time.ts'
import { printRows } from '../../output/listing.ts'
import { eventView } from '../../views/integration.ts'

/** `integrations audit list` */
export const command = (ctx: Context) => {
  const [sort, limit, cursor, all] = pageOptions(eventSorts)
  const command = new Command('list')
    .summary('list what was done')
    .description(
      "List events, the newest first. Filters combine. Who did it is what the process said of itself, no proof: a CI system's identity, else os:user@host, and the name of --as. The database role is what PostgreSQL knows. Needs no keys.",
    )
    .addOption(
      new Option(
        '--ref <ref>',
        'about what has this id or name, or had it when it was recorded: it may be gone since; the first 6 characters of an id will do',
      ),
    )
    .addOption(new Option('--action <action>', 'of this action, as in secret.rotate; secret alone: all about secrets'))
    .addOption(
      new Option('--actor <text>', 'with this text in who did it or in the role, taken literally, ASCII case ignored'),
    )
    .addOption(new Option('--since <when>', 'since an instant, or so long ago, as in 7d').argParser(past))
    .addOption(new Option('--until <when>', 'before an instant, or so long ago').argParser(past))
    .addOption(sort.default({ sort: 'seq', descending: true }, '-seq'))
    .addOption(limit)
    .addOption(cursor.argParser((text) => String(wholeNumber(1)(text))))
    .addOption(all)
    .addHelpText(
      'after',
      examples(
        'integrations audit list --ref Acme/support',
        'integrations audit list --action secret --since 7d -o json',
        'integrations audit list --actor github:ana --sort seq --all -o jsonl',
      ),
    )
  return declareOutput(command, ctx.output, eventView).action(
    async ({ ref, action, actor, since, until, ...options }) => {
      const store = await ctx.store()
      const targetIds = ref === undefined ? undefined : await store.read((db) => findAudited(db, ref))
      if (targetIds && targetIds.length > 1)
        ctx.output.note(`${JSON.stringify(ref)} stands for ${targetIds.length} things here: ${targetIds.join(', ')}`)
      const filter: EventFilter = {
        ...(targetIds === undefined ? {} : { targetIds }),
        ...(action === undefined ? {} : { action }),
        ...(actor === undefined ? {} : { actor }),
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
      }
      await printRows(ctx, eventView, page(options, ctx.output), {
        list: (db, wanted) => db.audit.list(filter, wanted),
        count: (db, wanted) => db.audit.count(filter, wanted),
      })
    },
  )
}
