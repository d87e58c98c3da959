import { Command, Option } from '@commander-js/extra-typings'
import { checkFailed } from '../../errors.ts'
import {
  byImportance,
  type Finding,
  type FindingCode,
  findingCodes,
  type Severity,
  severities,
} from '../../operations/report/finding.ts'
import { type Counts, report } from '../../operations/report/report.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples } from '../input/arguments.ts'
import { filterOf, withFilters } from '../input/filters.ts'
import { findingOption } from '../input/finding-code.ts'
import { duration } from '../input/time.ts'
import { plural } from '../output/text.ts'
import type { RowSource } from '../output/values.ts'
import { findingView } from '../views/report.ts'

/** How many findings of each code a table shows. */
const shownOfEach = 20

const codesHelp = Object.entries(findingCodes)
  .map(([code, [severity, meaning]]) => `  ${code.padEnd(25)}${severity.padEnd(9)}${meaning}`)
  .join('\n')

/** `integrations report` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('report'), ctx.output, findingView).description(
    'Tell in one list what is wrong with integrations, what will be, and what is not known. Needs no keys and changes nothing; all of it is of one moment. A table shows the worst first, and 20 findings of each code; other formats show all, in the order of ids. Exits with 8 when there is a finding of --fail-on or worse.',
  )
  return withFilters(command, { expiring: false, finding: false })
    .addOption(findingOption())
    .addOption(
      new Option('--fail-on <severity>', 'the least severity that is a failure')
        .choices([...severities, 'never'])
        .default('error' as const),
    )
    .addOption(
      new Option(
        '--new-since <duration>',
        'only what came true within this time, for a job that tells each finding once',
      ).argParser(duration),
    )
    .addHelpText('after', `\nFindings:\n${codesHelp}`)
    .addHelpText(
      ...examples(
        'integrations report',
        'integrations report --platform slack --fail-on unknown -o json',
        'integrations report --new-since 25h -o jsonl',
      ),
    )
    .action(async ({ failOn, newSince, finding, ...filters }) => {
      const store = await ctx.store()
      const what = { filter: await filterOf(store, filters), codes: finding, newWithinMs: newSince }
      let counts: Counts | undefined
      let next: string | null = null
      const left = new Map<FindingCode, number>()
      const source: RowSource<Finding> = async (emit) => {
        if (!ctx.output.table()) {
          counts = await report(store, { ...what, emit })
          return
        }
        const shown = new Map<FindingCode, Finding[]>()
        const keep = async (findings: readonly Finding[]) => {
          for (const finding of findings) {
            const same = shown.get(finding.code) ?? []
            if (same.length < shownOfEach) shown.set(finding.code, [...same, finding])
            else left.set(finding.code, (left.get(finding.code) ?? 0) + 1)
          }
        }
        counts = await report(store, { ...what, emit: keep })
        const sorted = [...shown.values()].flat().sort(byImportance)
        next = sorted[0]?.next ?? null
        await emit(sorted)
      }
      await ctx.output.rows(findingView, source, { paged: true })
      for (const [code, n] of left) ctx.output.note(`${n} more of ${code}: -o jsonl shows all`)
      if (counts) conclude(ctx, counts, { failOn, newSince, next })
    })
}

function conclude(
  ctx: Context,
  { integrations, findings, undated }: Counts,
  { failOn, newSince, next }: { failOn: Severity | 'never'; newSince: number | undefined; next: string | null },
): void {
  const words = { error: 'error', warning: 'warning', unknown: 'unknown finding' } as const
  const counted = severities.flatMap((severity) =>
    findings[severity] === 0 ? [] : [plural(findings[severity], words[severity])],
  )
  const sentence = `${counted.length === 0 ? 'no findings' : counted.join(', ')} in ${plural(integrations, 'integration')}`
  if (newSince !== undefined && undated > 0)
    ctx.output.note(`left out, as it is not known since when they are true: ${plural(undated, 'finding')}`)
  const failing = failOn === 'never' ? [] : severities.slice(0, severities.indexOf(failOn) + 1)
  if (failing.some((severity) => findings[severity] > 0))
    throw checkFailed(sentence, next ?? 'the field next of each finding is what to type: -o json')
  ctx.output.note(sentence)
}
