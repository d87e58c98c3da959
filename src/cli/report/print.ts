import { byImportance, type Finding, type FindingCode } from '../../operations/report/finding.ts'
import type { Counts } from '../../operations/report/report.ts'
import type { Output } from '../output/output.ts'
import { findingView } from '../views/report.ts'
import type { Writer } from './writer.ts'

/** Makes a report, and hands on the findings as they are found, with what a writer needs besides. */
export type Find = (emit: (findings: readonly Finding[]) => Promise<void>, writer?: Writer) => Promise<Counts>

/** How much of a text is written at once, in characters. */
const writtenAtOnce = 65_536

/** How many findings of each code a table shows. */
const shownOfEach = 20

/**
 * Prints findings as any rows; a table has the worst first, and not all of them.
 *
 * @param options `ids`: only ids of integrations are printed, each once
 */
export async function printRows(output: Output, find: Find, { ids }: { readonly ids: boolean }): Promise<void> {
  if (!output.table()) {
    await output.rows(findingView, async (emit) => void (await find(ids ? onceEach(emit) : emit)))
    return
  }
  const shown = new Map<FindingCode, Finding[]>()
  const left = new Map<FindingCode, number>()
  const source = async (emit: (findings: readonly Finding[]) => Promise<void>) => {
    await find(async (findings) => {
      for (const finding of findings) {
        const same = shown.get(finding.code) ?? []
        if (same.length < shownOfEach) shown.set(finding.code, [...same, finding])
        else left.set(finding.code, (left.get(finding.code) ?? 0) + 1)
      }
    })
    await emit([...shown.values()].flat().sort(byImportance))
  }
  await output.rows(findingView, source, { paged: true })
  for (const [code, n] of left) output.note(`${n} more of ${code}: -o jsonl shows all`)
}

/** Hands on the first finding of each integration, and none of the database, which has no id. */
function onceEach(emit: Parameters<Find>[0]): Parameters<Find>[0] {
  const seen = new Set<string>()
  return (findings) =>
    emit(
      findings.filter(({ integration }) => {
        if (integration === null || seen.has(integration.id)) return false
        seen.add(integration.id)
        return true
      }),
    )
}

/** Prints a report in a format of its own. */
export async function printText(output: Output, find: Find, writer: Writer): Promise<void> {
  const counts = await find(async (findings) => writer.find(findings), writer)
  let text = ''
  for (const part of writer.text(counts)) {
    text += part
    if (text.length < writtenAtOnce) continue
    await output.raw(text)
    text = ''
  }
  await output.raw(text)
}
