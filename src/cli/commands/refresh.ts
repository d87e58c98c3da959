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
    .addOption(new Option('--all', 'all integrations; those that cannot be refreshed are counted').default(false))
    .addOption(
      new Option(
        '--expiring <duration>',
        'refresh tokens that expire within this time, have expired, or have an unknown expiry; without references, selects their integrations',
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
  return declareOutput(filtered, ctx.output, refreshView).action(async (refs, { expiring, ...options }, self) => {
    const { force, dryRun } = options
    const urls = await apiUrls(ctx, { ...options, asks: !dryRun })
    const store = await ctx.store()
    const selects = refs.length === 0 && !options.all && self.getOptionValueSource('expiring') === 'cli'
    const which = await chosen(store, refs, selects ? { ...options, expiring } : options)
    const due = { withinMs: expiring, force, named: refs.length > 0 }
    if (dryRun) {
      await noteUnknownExpiry(ctx, store, which)
      const source: RowSource<RefreshRow> = (emit) =>
        previewMany(store, which, {
          ...due,
          emit: async (rows, db) => emit(rows, await idLengthOf(ctx, refreshView, rows.map(refreshView.id), db)),
        })
      return finish(ctx, { source, dryRun })
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
    await finish(ctx, {
      dryRun,
      source: async (emit) => emit(rows, await idLengthOf(ctx, refreshView, rows.map(refreshView.id))),
      signal: exitCode(),
    })
  })
}

/** What is said of integrations that are counted and not listed, unless they are given by reference. */
const passedOver: { readonly [O in RefreshRow['outcome']]?: string } = {
  unsupported: 'of platforms without refresh tokens',
  no_refresh_token: 'without a refresh token',
  inactive: 'inactive',
}

/** Lists what was to be refreshed, and counts the rest. @throws what `finishBatch` throws */
async function finish(
  ctx: Context,
  { source, dryRun, signal }: { source: RowSource<RefreshRow>; dryRun: boolean; signal?: number | undefined },
): Promise<void> {
  const counts = new Map<string, number>()
  let listed = 0
  const isListed = ({ outcome, error }: RefreshRow) => {
    const why = error ? undefined : passedOver[outcome]
    if (why === undefined) listed++
    else counts.set(why, (counts.get(why) ?? 0) + 1)
    return why === undefined
  }
  const tell = () => {
    if (listed === 0) ctx.output.note('nothing to refresh')
    if (counts.size > 0)
      ctx.output.note(`passed over: ${[...counts].map(([why, count]) => `${count} ${why}`).join(', ')}`)
  }
  const some: RowSource<RefreshRow> = (emit, measure) =>
    source((rows, ...more) => emit(rows.filter(isListed), ...more), measure).then(tell)
  await finishBatch(ctx, refreshView, {
    source: some,
    failed: dryRun ? 'would not be refreshed' : 'were not refreshed',
    signal,
  })
}
