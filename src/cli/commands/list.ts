import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import type { Reader, Store } from '../../store/store.ts'
import type { IntegrationFilter } from '../../store/tables/integration-filter.ts'
import { integrationSorts } from '../../store/tables/sorts.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples, page, withPageOptions } from '../input/arguments.ts'
import { filterOf, noteUnknownExpiry, readerOf, withFilters } from '../input/filters.ts'
import { printRows } from '../output/listing.ts'
import { listedView } from '../views/integration.ts'

/** `integrations list` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('list'), ctx.output, listedView).description(
    'List integrations. Filters combine: a row must match all of them.',
  )
  return withPageOptions(withFilters(command), integrationSorts)
    .addOption(
      new Option(
        '--fingerprint <fingerprint>',
        'that have a secret with this fingerprint, as show prints it',
      ).argParser(fingerprint),
    )
    .addOption(
      new Option(
        '--secret-stdin',
        'that have the secret on standard input, by its fingerprint; needs the key set',
      ).conflicts('fingerprint'),
    )
    .addHelpText(
      ...examples(
        'integrations list --platform slack --expiring 7d',
        'integrations list --stale 30d -o json --fields id,name,lastUsedAt',
        'integrations list --finding secret-missing --finding check-failed',
        'integrations list --all -o jsonl',
      ),
    )
    .action(async (options) => {
      const store = await ctx.store()
      const filter = { ...(await filterOf(store, options)), ...(await ofSecret(ctx, store, options)) }
      const from = await readerOf(options)
      await noteUnknownExpiry(ctx, store, { kind: 'filter', filter, from })
      const listing = { filter, page: page(options, ctx.output) }
      if (from) return printRows(ctx, listedView, { ...listing, table: from, inSnapshot: true })
      const table = (db: Reader) => db.integrations.listed
      await printRows(ctx, listedView, { ...listing, table, add: 'integrations add' })
    })
}

function fingerprint(text: string): string {
  if (!/^[0-9a-f]{16}$/.test(text)) throw new InvalidArgumentError('write the 16 characters that show prints')
  return text
}

/** The filter for those that have a secret. What the application alone has written has no fingerprint until a command reads it. */
async function ofSecret(
  ctx: Context,
  store: Store,
  { fingerprint, secretStdin }: { readonly fingerprint?: string | undefined; readonly secretStdin?: true | undefined },
): Promise<IntegrationFilter> {
  if (fingerprint === undefined && !secretStdin) return {}
  if (store.applicationWrites)
    ctx.output.note('secrets that the application wrote are found only once a command has read them')
  if (fingerprint !== undefined) return { fingerprint }
  // What other lists do without is loaded here.
  const [{ fingerprintOf }, { readSecret }, { readStdin }] = await Promise.all([
    import('../../operations/secrets/fingerprint.ts'),
    import('../../operations/secrets/values.ts'),
    import('../input/secret-input.ts'),
  ])
  const secret = readSecret(await readStdin(ctx.host), 'standard input')
  return { fingerprint: await fingerprintOf(store, ctx.keys(), secret) }
}
