import { Command } from '@commander-js/extra-typings'
import { shellWord } from '../../../errors.ts'
import { giveNewId } from '../../../operations/audit/new-id.ts'
import { readSpool } from '../../../operations/refresh/spool.ts'
import { displayUrl } from '../../../store/database/url.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { confirmByTyping, confirmOption, requireReason } from '../../input/consent.ts'
import { outcomeOf } from '../../output/values.ts'
import { homeFolder } from '../../paths.ts'
import { idView } from '../../views/database.ts'

/** `integrations db new-id` */
export const command = (ctx: Context) =>
  declareChange(new Command('new-id'), ctx.output, idView)
    .summary('give a copy of a database an id of its own')
    .description(
      'Give a copy of a database that is to live on beside the original, such as a staging database made from a dump, an id of its own. The audit log records the id. From then on the copy refuses the checkpoints of the original, takes none of its tokens from the spool, and no machine mistakes one for the other. Secrets stay as they are. Run the command on the copy, never on the original.',
    )
    .addOption(confirmOption('url', 'the URL of the copy, as db status shows it'))
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations db new-id --database file:./staging.db --reason "staging of Monday"',
        'DATABASE_URL=postgresql://… integrations db new-id --reason "staging" --confirm postgresql://app@staging/app',
      ),
    )
    .action(async ({ confirm, dryRun }) => {
      const url = displayUrl(ctx.database())
      if (!ctx.options.reason && confirm === undefined && !dryRun)
        ctx.prompts.require(['--reason TEXT', `--confirm ${shellWord(url)}`])
      requireReason(ctx, 'the new id')
      const store = await ctx.store()
      if (!dryRun)
        await confirmByTyping(ctx, {
          word: url,
          confirm,
          warning: 'This gives the copy an id of its own: run this on the copy, never on the original.',
        })
      const spooled = (id: string) =>
        homeFolder(ctx.host.env, 'state') === undefined
          ? 0
          : readSpool(ctx.spool()).filter(({ content }) => content?.database === id).length
      const change = await giveNewId(store, { dryRun, spooled })
      await ctx.output.change(idView, change, {
        outcome: outcomeOf(true, dryRun),
        sentence: dryRun
          ? `would give ${url} an id of its own, in place of ${change.formerId}`
          : `gave ${url} the id ${change.id}, in place of ${change.formerId}`,
        next: dryRun ? [] : ['integrations audit checkpoint'],
      })
      if (!dryRun)
        ctx.output.note(
          `the copy keeps the keys of the original, in ${ctx.keys().name}: a leak of the key set exposes both`,
        )
    })
