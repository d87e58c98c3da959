import { Command, Option } from '@commander-js/extra-typings'
import { badInput, IntegrationsError } from '../../errors.ts'
import type { IntegrationView } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import { verifyKeys } from '../../operations/keys/keys.ts'
import { type Recovered, recoverOne, toRecover } from '../../operations/refresh/recover.ts'
import { removeLeftovers } from '../../operations/refresh/spool-cleanup.ts'
import type { Context } from '../context.ts'
import { apiUrlOption, apiUrls, declareOutput, examples } from '../input/arguments.ts'
import { refsArgument } from '../input/filters.ts'
import { createSignalGuard } from '../interruptions.ts'
import { finishBatch } from '../output/batch.ts'
import { recoverView } from '../views/refresh.ts'

/** `integrations recover` */
export const command = (ctx: Context) =>
  declareOutput(new Command('recover'), ctx.output, recoverView)
    .description(
      'Settle refreshes of which nobody knows how they ended. New tokens that a killed process has left on this machine are put into the database. Without any, the platform is asked whether the access token still works, which changes nothing, and the integration is flagged: a person has to give the application access again (exit 9).',
    )
    .addArgument(refsArgument())
    .addOption(new Option('--all', 'every one that is not settled').default(false))
    .addOption(
      new Option(
        '--retry',
        'hand the old refresh token in once more; a platform that takes this for theft may take back all tokens',
      ).default(false),
    )
    .addOption(apiUrlOption())
    .addHelpText('after', examples('integrations recover --all', 'integrations recover Acme/support --retry'))
    .action(async (refs, { all, retry, ...options }) => {
      if (refs.length > 0 === all)
        throw badInput(
          all ? 'integrations are named, and --all is given' : 'it was not said which integrations',
          all ? 'keep one of the two' : 'name them, or pass --all',
        )
      const urls = apiUrls(ctx, options)
      const store = await ctx.store()
      const spool = ctx.spool()
      const named = async () => {
        const found: IntegrationView[] = []
        for (const ref of refs) found.push(await store.read((db) => findIntegration(db, ref)))
        return [...new Map(found.map((one) => [one.id, one])).values()]
      }
      const integrations = await (all ? toRecover(store, spool) : named())
      // What would fail for all of them fails at once.
      if (integrations.length > 0) await verifyKeys(store)
      const { uninterrupted, exitCode } = createSignalGuard(ctx)
      const rows: Recovered[] = []
      const deadline = performance.now() + ctx.options.wait
      const recovering = { urls, spool, retry, uninterrupted, owner: ctx.actor() }
      for (const integration of integrations) {
        try {
          rows.push(
            await recoverOne(store, integration, { ...recovering, wait: Math.max(0, deadline - performance.now()) }),
          )
        } catch (error) {
          if (!(error instanceof IntegrationsError)) throw error
          rows.push({
            integration,
            outcome: outcomes[error.code] ?? 'error',
            accessToken: null,
            worksUntil: null,
            error,
          })
        }
      }
      const ids = new Set(integrations.map(({ id }) => id))
      const removed = await removeLeftovers(store, spool, all ? undefined : ids).catch((error: unknown) => ({ error }))
      const unwritten = await ctx.output.rows(recoverView, (emit) => emit(rows)).catch((error: unknown) => ({ error }))
      if (typeof removed === 'number' && removed > 0)
        ctx.output.note(`removed files with tokens that are settled: ${removed}`)
      const failures = rows.flatMap(({ integration, error }) => (error ? [{ name: integration.name, error }] : []))
      finishBatch(ctx, failures, { what: 'settled', of: rows.length, signal: exitCode() })
      // Neither may hide what may not be tried again.
      if (unwritten) throw unwritten.error
      if (typeof removed !== 'number') throw removed.error
    })

const outcomes: { readonly [code: string]: Recovered['outcome'] } = {
  CREDENTIAL_REFUSED: 'refused',
  PLATFORM_FAILED: 'failed',
  OUTCOME_UNKNOWN: 'outcome_unknown',
  LEASE_HELD: 'held',
}
