import { Command, Option } from '@commander-js/extra-typings'
import { findChosen } from '../../operations/find.ts'
import { previewMany, type RefreshRow, refreshMany } from '../../operations/refresh/batch.ts'
import type { Context } from '../context.ts'
import { allowPrivateOption, apiUrlOption, apiUrls, declareOutput, dryRunOption, examples } from '../input/arguments.ts'
import { chosen, noteUnknownExpiry, refsArgument, withFilters } from '../input/filters.ts'
import { duration } from '../input/time.ts'
import { createSignalGuard } from '../interruptions.ts'
import { finishBatch } from '../output/batch.ts'
import { idLengthOf } from '../output/listing.ts'
import type { RowSource } from '../output/values.ts'
import { refreshView } from '../views/refresh.ts'

/** `integrations refresh` */
export const command = (ctx: Context) => {
  const command = new Command('refresh')
    .description(
      'Refresh access tokens that expire soon, or whose expiry is unknown. A refresh token can be used only once, so concurrent runs coordinate through a lease: one asks the platform, the others wait. The old access token stays in the history until it expires. An attempt whose outcome is unknown is never retried (exit 9): integrations recover resolves it.',
    )
    .addArgument(refsArgument())
    .addOption(new Option('--all', 'all integrations; those that cannot be refreshed are skipped').default(false))
    .addOption(
      new Option(
        '--expiring <duration>',
        'refresh tokens that expire within this time, have expired, or have an unknown expiry',
      )
        .argParser(duration)
        .default(7_200_000, '2h'),
    )
    .addOption(new Option('--force', 'refresh tokens that expire later, too').default(false))
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
    .addOption(dryRunOption())
  const filtered = withFilters(command, { expiring: false }).addHelpText(
    ...examples(
      'integrations refresh Acme/support',
      'integrations refresh --all -o json',
      'integrations refresh --platform slack --dry-run',
    ),
  )
  return declareOutput(filtered, ctx.output, refreshView).action(async (refs, { expiring, ...options }) => {
    const { force, dryRun } = options
    const urls = await apiUrls(ctx, { ...options, asks: !dryRun })
    const store = await ctx.store()
    const which = await chosen(store, refs, options)
    const due = { withinMs: expiring, force, named: refs.length > 0 }
    if (dryRun) {
      await noteUnknownExpiry(ctx, store, which)
      const source: RowSource<RefreshRow> = (emit) =>
        previewMany(store, which, {
          ...due,
          emit: async (rows, db) => emit(rows, await idLengthOf(ctx, refreshView, rows.map(refreshView.id), db)),
        })
      return finishBatch(ctx, refreshView, { source, done: 'refreshed' })
    }
    const integrations = await findChosen(store, which, (one) => one)
    await noteUnknownExpiry(ctx, store, which)
    const { uninterrupted, exitCode } = createSignalGuard(ctx)
    const rows = await refreshMany(store, integrations, {
      ...due,
      urls,
      uninterrupted,
      owner: ctx.actor(),
      wait: ctx.options.wait,
      spool: ctx.spool(),
    })
    await finishBatch(ctx, refreshView, {
      source: async (emit) => emit(rows, await idLengthOf(ctx, refreshView, rows.map(refreshView.id))),
      done: 'refreshed',
      signal: exitCode(),
    })
  })
}
