import { Command, Option } from '@commander-js/extra-typings'
import { recoverMany } from '../../operations/refresh/recover-batch.ts'
import type { Context } from '../context.ts'
import { allowPrivateOption, apiUrlOption, apiUrls, declareOutput, examples } from '../input/arguments.ts'
import { checkChoice, refsArgument } from '../input/filters.ts'
import { createSignalGuard } from '../interruptions.ts'
import { finishBatch } from '../output/batch.ts'
import { idLengthOf } from '../output/listing.ts'
import { recoverView } from '../views/refresh.ts'

/** `integrations recover` */
export const command = (ctx: Context) =>
  declareOutput(new Command('recover'), ctx.output, recoverView)
    .description(
      'Resolve refreshes whose outcome is unknown. New tokens that a killed process left on this machine are stored in the database. Without such tokens, the platform is asked whether the access token still works, which changes nothing, and the integration is flagged: a person has to authorize the application again (exit 9).',
    )
    .addArgument(refsArgument())
    .addOption(new Option('--all', 'every integration whose refresh has an unknown outcome').default(false))
    .addOption(
      new Option(
        '--retry',
        'submit the old refresh token again; a platform with reuse detection may revoke all tokens',
      ).default(false),
    )
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
    .addHelpText(...examples('integrations recover --all', 'integrations recover Acme/support --retry'))
    .action(async (refs, { all, retry, ...options }) => {
      checkChoice(refs, all)
      const { uninterrupted, exitCode } = createSignalGuard(ctx)
      const urls = await apiUrls(ctx, options)
      const { rows, removedFiles, cleanUpFailure } = await recoverMany(await ctx.store(), all ? undefined : refs, {
        urls,
        retry,
        uninterrupted,
        owner: ctx.actor(),
        wait: ctx.options.wait,
        spool: ctx.spool(),
      })
      if (removedFiles > 0) ctx.output.note(`removed files of resolved refreshes: ${removedFiles}`)
      if (all && rows.length === 0) ctx.output.note('no refresh has an unknown outcome: nothing to recover')
      await finishBatch(ctx, recoverView, {
        source: async (emit) => emit(rows, await idLengthOf(ctx, recoverView, rows.map(recoverView.id))),
        failed: 'were not resolved',
        signal: exitCode(),
      })
      if (cleanUpFailure) throw cleanUpFailure.error
    })
