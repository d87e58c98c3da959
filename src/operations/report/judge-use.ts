import type { Instant } from '../../brands.ts'
import type { ListedIntegration } from '../../integration.ts'
import { commandLine } from '../texts.ts'
import type { About, Finding } from './finding.ts'
import { type Asked, beginning } from './policy.ts'

const dayMs = 86_400_000

/** After how long without use that is told, where no policy says. */
const unusedMs = 30 * dayMs

/** What is to be said of the use of an active integration. @param usage `now`: in milliseconds since 1970; `usesRecorded`: of any integration */
export function judgeUse(
  { lastUsedAt, createdAt, id }: ListedIntegration,
  {
    now,
    usesRecorded,
    asked: { unusedAfter },
  }: { readonly now: number; readonly usesRecorded: boolean; readonly asked: Asked },
  about: About,
): Finding[] {
  if (!usesRecorded) return []
  const ms = unusedAfter?.ms ?? unusedMs
  const from = Date.parse(lastUsedAt ?? createdAt)
  if (now - from <= ms) return []
  const since = beginning(from + ms, unusedAfter)
  const next = commandLine('disable', [id])
  return lastUsedAt === null
    ? [about('never-used', { since, evidence: `added at ${createdAt}, and never used`, next })]
    : [about('stale', { since, evidence: `last used at ${lastUsedAt}`, next })]
}

/** The same of an inactive one. @param usage `changedAt`: when this program last changed it; undefined where that is not known */
export function judgeUseWhileInactive(
  { lastUsedAt, id }: ListedIntegration,
  { now, changedAt }: { readonly now: number; readonly changedAt: Instant | undefined },
  about: About,
): Finding[] {
  if (lastUsedAt === null || now - Date.parse(lastUsedAt) > dayMs) return []
  if (changedAt === undefined || lastUsedAt <= changedAt) return []
  const evidence = `last used at ${lastUsedAt}`
  return [about('inactive-but-used', { since: changedAt, evidence, next: commandLine('enable', [id]) })]
}
