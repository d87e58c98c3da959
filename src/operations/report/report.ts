import { type Instant, instantOf } from '../../brands.ts'
import { interrupted } from '../../errors.ts'
import type { ListedIntegration } from '../../integration.ts'
import { allRows } from '../../store/all-rows.ts'
import type { AuditEvent } from '../../store/audit/events.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { IntegrationFilter } from '../../store/tables/integration-filter.ts'
import { codesWorstFirst, type Finding, type FindingCode, isIntegrationCode, type Severity } from './finding.ts'
import { judgeDatabase, type Setting } from './judge.ts'
import { beginJudging } from './judging.ts'

/** What a report counted. */
export interface Counts {
  /** The moment that the report is of, by the database's clock. */
  readonly at: Instant
  readonly integrations: number
  readonly findings: { readonly [S in Severity]: number }
  /** The same of each code that was looked for, the worst first. */
  readonly byCode: ReadonlyMap<FindingCode, number>
  /** With a time of beginning asked for: of how many findings it is not known, those of severity `unknown` left out. */
  readonly undated: { readonly told: number; readonly leftOut: number }
  /** How many more findings are ignored, and when the first of these counts again; null: there is none. */
  readonly ignored: number
  readonly ignoredUntil: Instant | null
  /** The last changes, the newest first; null: they were not asked for, or the report is not of the whole database. */
  readonly changes: readonly AuditEvent[] | null
}

/** Sees integrations, whether anything is found of them or not, before what is found. */
export type See = (integrations: readonly ListedIntegration[], setting: Setting) => void

/** Which integrations a report is of, and what of it. */
export interface ReportOptions {
  readonly filter: IntegrationFilter
  /** Only the findings with one of these codes; absent: all. */
  readonly codes?: readonly FindingCode[] | undefined
  /** Only what came true within so many milliseconds; absent: all that is true. */
  readonly newWithinMs?: number | undefined
  /** Takes findings as they are made, in the order of the integrations' ids. */
  readonly emit: (findings: readonly Finding[]) => Promise<void>
  readonly see?: See | undefined
  /** How many of the last changes to read; absent: none. */
  readonly lastChanges?: number | undefined
}

/** Tells what is wrong with integrations, will be, or is not known, all of one moment. Needs no keys, and writes nothing. */
export const report = (store: Store, options: ReportOptions): Promise<Counts> => {
  const { filter, codes, newWithinMs, emit, see, lastChanges = 0 } = options
  let shown = 0
  return store.snapshot(async (db) => {
    // What was printed would be printed twice, and what was seen counted twice.
    if (shown > 0) throw interrupted(shown)
    const judging = await beginJudging(db)
    const newSince = newWithinMs === undefined ? undefined : judging.setting.now - newWithinMs
    const findings = { error: 0, warning: 0, unknown: 0 }
    const isWhole = Object.keys(filter).length === 0
    const lookedFor = codesWorstFirst.filter(
      (code) => (codes?.includes(code) ?? true) && (isWhole || isIntegrationCode(code)),
    )
    const byCode = new Map(lookedFor.map((code) => [code, 0]))
    const undated = { told: 0, leftOut: 0 }
    let ignored = 0
    let firstEnd: Instant | null = null
    const tell = async (all: readonly Finding[]) => {
      const told = all.filter((finding) => {
        if (!byCode.has(finding.code)) return false
        const since = judging.toldSince(finding)
        const isOld = newSince !== undefined && since !== null && Date.parse(since) < newSince
        if (isOld) return false
        const end = judging.ignoredUntil(finding)
        if (end !== undefined) {
          ignored++
          if (firstEnd === null || end < firstEnd) firstEnd = end
          return false
        }
        if (newSince === undefined || since !== null) return true
        // Rather told again than never: nothing says that it was told before.
        if (finding.severity !== 'unknown') undated.told++
        else undated.leftOut++
        return finding.severity !== 'unknown'
      })
      for (const { severity, code } of told) {
        findings[severity]++
        byCode.set(code, (byCode.get(code) ?? 0) + 1)
      }
      shown += told.length
      if (told.length > 0) await emit(told)
    }
    let integrations = 0
    for await (const batch of db.integrations.listed.list(filter, { sort: 'id', descending: false, inPages: true })) {
      integrations += batch.length
      if (see) {
        shown += batch.length
        see(batch, judging.setting)
      }
      await tell(await judging.of(batch))
    }
    if (isWhole) await tell(await judging.ofRemoved())
    if (integrations > 0 && isWhole) await tell(judgeDatabase(judging.setting))
    return {
      at: instantOf(judging.setting.now),
      integrations,
      findings,
      byCode,
      undated,
      ignored,
      ignoredUntil: firstEnd,
      changes: lastChanges > 0 && isWhole ? await lastChangesOf(db, lastChanges) : null,
    }
  })
}

const lastChangesOf = (db: Reader, limit: number) =>
  allRows(db.audit.list({ changesOnly: true }, { sort: 'seq', descending: true, limit }))
