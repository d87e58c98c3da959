import { Command, Option } from '@commander-js/extra-typings'
import type { IntegrationId } from '../../brands.ts'
import { type ErrorCode, IntegrationsError, worstOf } from '../../errors.ts'
import { type Checked, type CheckOptions, checkMany } from '../../operations/check/batch.ts'
import { findChosen } from '../../operations/find.ts'
import type { Verdict } from '../../platforms/platform.ts'
import type { Context } from '../context.ts'
import { allowPrivateOption, apiUrlOption, apiUrls, declareOutput, examples } from '../input/arguments.ts'
import { chosen, noteUnknownExpiry, refsArgument, withFilters } from '../input/filters.ts'
import { idLengthOf } from '../output/listing.ts'
import { progressBar } from '../output/progress.ts'
import type { RowSource } from '../output/values.ts'
import { checkView } from '../views/check.ts'

/** `integrations check` */
export const command = (ctx: Context) => {
  const command = new Command('check')
    .description(
      "Ask the platforms whether access tokens work, and who owns them. Empty ids and an unknown token expiry are filled in. Verdicts: ok; refused; expired, a refresh may help; limited, with too few permissions; unreachable; unknown. Findings list differences between stored data and the platform's answer. Exit codes: 4 where a token is refused or expired, 7 where a platform could not be asked, 8 for a finding and the other verdicts; of several, the first in the order 6, 7, 4, 8. Access is recorded in the audit log first, and the verdict afterwards.",
    )
    .addArgument(refsArgument())
    .addOption(new Option('--all', 'all integrations').default(false))
    .addOption(new Option('--no-fill', 'do not fill in empty fields'))
    .addOption(apiUrlOption())
    .addOption(allowPrivateOption())
  const filtered = withFilters(command).addHelpText(
    ...examples(
      'integrations check Acme/support',
      'integrations check --platform slack --active --no-fill -o json',
      'integrations check --all --fields workspace,name,verdict,scopes',
    ),
  )
  return declareOutput(filtered, ctx.output, checkView).action(async (refs, options) => {
    const urls = await apiUrls(ctx, options)
    const store = await ctx.store()
    const which = await chosen(store, refs, options)
    const ids = await findChosen(store, which, ({ id }) => id)
    const verdicts = new Map<Verdict, number>()
    const errors = new Set<ErrorCode>()
    let findings = 0
    const count = (some: readonly Checked[]) => {
      for (const one of some) {
        verdicts.set(one.verdict, (verdicts.get(one.verdict) ?? 0) + 1)
        if (one.error !== null) errors.add(one.error)
        if (one.findings.length > 0) findings++
      }
    }
    await noteUnknownExpiry(ctx, store, which)
    await printChecks(ctx, ids, { urls, wait: ctx.options.wait, fill: options.fill, count })
    const counts = [...verdicts].map(([verdict, count]) => `${count} ${verdict}`)
    if (findings > 0) counts.push(`${findings} with findings`)
    const sentence = counts.length === 0 ? 'nothing to check' : `checked: ${counts.join(', ')}`
    const worst = worstOf([...errors])
    if (worst)
      throw new IntegrationsError({
        code: worst,
        message: sentence,
        hint: hints[worst] ?? 'check code and reason with -o json',
      })
    ctx.output.note(sentence)
  })
}

/** Prints the rows as they come, with a progress bar on a terminal. */
async function printChecks(
  ctx: Context,
  ids: readonly IntegrationId[],
  { count, ...options }: CheckOptions & { readonly count: (checked: readonly Checked[]) => void },
): Promise<void> {
  const store = await ctx.store()
  // A table is drawn at the end; rows that are printed as they come would collide with a bar.
  const bar = ctx.output.table() && ids.length > 1 ? await progressBar(ctx, 'integrations') : undefined
  let done = 0
  try {
    const idLength = await idLengthOf(ctx, checkView, ids)
    const source: RowSource<Checked> = async (emit) => {
      const counted = async (checked: readonly Checked[]) => {
        count(checked)
        done += checked.length
        bar?.update(done, ids.length)
        await emit(checked, idLength)
      }
      await checkMany(store, ids, { ...options, emit: counted })
      bar?.stop()
    }
    await ctx.output.rows(checkView, source, { paged: true })
  } finally {
    bar?.stop()
  }
}

const hints: { readonly [C in ErrorCode]?: string } = {
  CREDENTIAL_REFUSED:
    'issue new tokens at the platform, and store each with integrations rotate <ref> --access-token-stdin --grace 0 --check',
  PLATFORM_FAILED: 'try again later; the code names the reason',
  CHECK_FAILED:
    'check code, findings and reason (-o json); integrations update <ref> corrects a difference between stored data and the platform',
}
