import { Command, Option } from '@commander-js/extra-typings'
import { type ErrorCode, IntegrationsError, worstOf } from '../../errors.ts'
import { type Checked, type Checking, checkIntegrations } from '../../operations/check/batch.ts'
import { findChosen } from '../../operations/find.ts'
import type { Verdict } from '../../platforms/platform.ts'
import type { Store } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { apiUrlOption, apiUrls, declareOutput, examples } from '../input/arguments.ts'
import { chosen, expiringOption, refsArgument, unknownExpiryNote, withFilters } from '../input/filters.ts'
import { progressBar } from '../output/progress.ts'
import { checkView } from '../views/check.ts'

/** `integrations check` */
export const command = (ctx: Context) => {
  const command = new Command('check')
    .description(
      "Ask the platforms whether access tokens work, and whose they are. Ids and the token's end are filled in where they are empty. Verdicts: ok; refused; expired, a refresh may help; limited, it works but not for all; unreachable; unknown. Findings are where the platform says otherwise than what is stored. Ends with 4 where a token is refused or expired, 7 where a platform could not be asked, 8 for a finding and the other verdicts; with several, the worst in the order of 6, 7, 4, 8. That a token was read stands in the audit log before it is used, and the verdict after.",
    )
    .addArgument(refsArgument())
    .addOption(new Option('--all', 'all integrations').default(false))
    .addOption(new Option('--no-fill', 'fill in nothing'))
    .addOption(apiUrlOption())
  const filtered = withFilters(command)
    .addOption(expiringOption())
    .addHelpText(
      'after',
      examples(
        'integrations check Acme/support',
        'integrations check --platform slack --active --no-fill -o json',
        'integrations check --all --fields workspace,name,verdict,scopes',
      ),
    )
  return declareOutput(filtered, ctx.output, checkView).action(async (refs, options) => {
    const urls = apiUrls(ctx, options)
    const store = await ctx.store()
    const which = await chosen(store, refs, options)
    const ids = (await findChosen(store, which)).map(({ id }) => id)
    const verdicts = new Map<Verdict, number>()
    const errors = new Set<ErrorCode>()
    let findings = 0
    await withBar(ctx, store, ids, { urls, wait: ctx.options.wait, fill: options.fill }, (some) => {
      for (const one of some) {
        verdicts.set(one.verdict, (verdicts.get(one.verdict) ?? 0) + 1)
        if (one.error !== null) errors.add(one.error)
        if (one.findings.length > 0) findings++
      }
    })
    const note = which.kind === 'filter' ? await unknownExpiryNote(store, which.filter) : undefined
    if (note !== undefined) ctx.output.note(note)
    const counts = [...verdicts].map(([verdict, count]) => `${count} ${verdict}`)
    if (findings > 0) counts.push(`${findings} with findings`)
    const sentence = counts.length === 0 ? 'nothing to check' : `checked: ${counts.join(', ')}`
    const worst = worstOf([...errors])
    if (worst)
      throw new IntegrationsError({
        code: worst,
        message: sentence,
        hint: hints[worst] ?? 'see code and reason with -o json',
      })
    ctx.output.note(sentence)
  })
}

async function withBar(
  ctx: Context,
  store: Store,
  ids: readonly string[],
  checking: Checking,
  count: (checked: readonly Checked[]) => void,
): Promise<void> {
  // A table is drawn at the end; rows that come as they are would run into a bar.
  const bar = ctx.output.table() && ids.length > 1 ? await progressBar(ctx, 'integrations') : undefined
  let done = 0
  try {
    await ctx.output.rows(checkView, async (emit) => {
      await checkIntegrations(store, ids, checking, async (checked) => {
        count(checked)
        done += checked.length
        bar?.update(done, ids.length)
        await emit(checked)
      })
      bar?.stop()
    })
  } finally {
    bar?.stop()
  }
}

const hints: { readonly [C in ErrorCode]?: string } = {
  CREDENTIAL_REFUSED:
    'make new tokens at the platform, and put each in with integrations rotate <ref> --access-token-stdin --grace 0 --check',
  PLATFORM_FAILED: 'try again later; the code says what happened',
  CHECK_FAILED:
    'see code, findings and reason (-o json); where something else is stored than the platform says, integrations update <ref> corrects it',
}
