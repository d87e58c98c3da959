import { type IntegrationView, type ListedIntegration, refOf } from '../../../integration.ts'
import { codesWorstFirst, type Finding, type FindingCode, findingCodes } from '../../../operations/report/finding.ts'
import { isRefreshed } from '../../../operations/report/judge.ts'
import type { See } from '../../../operations/report/report.ts'
import { printable } from '../../output/text.ts'
import {
  type CodeCounts,
  type ExpiryCounts,
  expiryWeeksAhead,
  expiryWeeksBack,
  type GroupCounts,
  type PageData,
  type PageFinding,
  type UseCounts,
  useWeeks,
} from './data.ts'

const weekMs = 7 * 86_400_000

/** How many findings a page lists. Of more, it lists some of each code. */
export const listedFindings = 10_000
/** How many findings of each code a page lists, where all are too many. */
export const listedOfEach = 200
/** How many platforms, and how many owners, are told apart; the database may name as many as it likes. */
const countedGroups = 1000
const listedGroups = 20
/** How many workspaces are told apart; so many are held in memory. */
const countedWorkspaces = 10_000
const listedWorkspaces = 20
const listedExpiries = 10
/** Names and what was seen are cut to so many characters: the database may hold any. */
const textLength = 300

/** What a page shows of integrations and findings. */
export type Collected = Pick<PageData, 'platforms' | 'owners' | 'codes' | 'expiry' | 'use' | 'findings'>

/** Takes in what a report reads, and holds counts in place of rows. */
export interface Collector {
  readonly see: See
  /** Takes findings of integrations that were seen, those of one behind each other, or of the database. */
  find(found: readonly Finding[]): void
  collected(): Collected
}

/** Collects what a page shows. */
export function collector(): Collector {
  const platforms = groupCounter()
  const owners = groupCounter()
  const findings = findingList()
  const expiry = expiryCounter()
  const use = useCounter()
  let recorded = false
  let last: ListedIntegration | null = null
  return {
    see(integrations, { now, usesRecorded }) {
      recorded = usesRecorded
      for (const integration of integrations) {
        for (const counts of [platforms.of(integration.platform), owners.of(integration.owner)]) {
          counts.integrations++
          counts[integration.isActive ? 'clean' : 'inactive']++
        }
        if (!integration.isActive || integration.damage) continue
        expiry.add(integration, now)
        use.add(integration, now)
      }
    },
    find(found) {
      findings.add(found)
      for (const { integration, severity } of found) {
        if (integration === null) continue
        for (const counts of [platforms.of(integration.platform), owners.of(integration.owner)]) {
          counts[severity]++
          if (integration.isActive && integration !== last) counts.clean--
        }
        last = integration
      }
    },
    collected: () => ({
      ...findings.collected(),
      platforms: platforms.collected(),
      owners: owners.collected(),
      expiry: expiry.collected(),
      use: { recorded, rows: use.collected() },
    }),
  }
}

type Changing<T> = { -readonly [K in keyof T]: T[K] }

const noCounts = { integrations: 0, inactive: 0, clean: 0, error: 0, warning: 0, unknown: 0 } as const

/** Counts integrations by a text of theirs. */
function groupCounter() {
  const groups = new Map<string | null, Changing<GroupCounts>>()
  const rest: Changing<GroupCounts> = { name: null, isRest: true, ...noCounts }
  return {
    of(name: string | null): Changing<GroupCounts> {
      const known = groups.get(name)
      if (known || groups.size >= countedGroups) return known ?? rest
      const counts = { name, isRest: false, ...noCounts }
      groups.set(name, counts)
      return counts
    },
    /** Nothing where no integration has such a text. */
    collected(): readonly GroupCounts[] {
      const sorted = [...groups.values()].sort(
        (a, b) => b.error - a.error || b.warning - a.warning || b.integrations - a.integrations,
      )
      if (sorted.every(({ name }) => name === null)) return []
      const others = sorted.splice(listedGroups).reduce(sumOf, rest)
      return [
        ...sorted.map((counts) => ({ ...counts, name: counts.name === null ? null : shown(counts.name) })),
        ...(others.integrations === 0 ? [] : [others]),
      ]
    },
  }
}

const sumOf = (a: GroupCounts, b: GroupCounts): GroupCounts => ({
  ...a,
  integrations: a.integrations + b.integrations,
  inactive: a.inactive + b.inactive,
  clean: a.clean + b.clean,
  error: a.error + b.error,
  warning: a.warning + b.warning,
  unknown: a.unknown + b.unknown,
})

/** A text of the database as the page shows it: short, and as a terminal shows it. */
export function shown(text: string): string {
  if (text.length <= textLength) return printable(text)
  const characters = [...text.slice(0, textLength)]
  // The last one may be half of a pair.
  return `${printable(characters.slice(0, -1).join(''))}…`
}

function findingList() {
  const all = new Map<FindingCode, { count: number; listed: PageFinding[] }>()
  let listed = 0
  let limit: number = listedFindings
  return {
    add(told: readonly Finding[]) {
      for (const finding of told) {
        const same = all.get(finding.code) ?? { count: 0, listed: [] }
        all.set(finding.code, same)
        same.count++
        if (same.listed.length >= limit) continue
        same.listed.push(pageFinding(finding))
        listed++
        if (listed <= listedFindings || limit === listedOfEach) continue
        limit = listedOfEach
        for (const { listed } of all.values()) listed.splice(limit)
      }
    },
    collected(): { readonly codes: readonly CodeCounts[]; readonly findings: readonly PageFinding[] } {
      const found = codesWorstFirst.flatMap((code) => {
        const same = all.get(code)
        const [severity, meaning] = findingCodes[code]
        return same === undefined ? [] : [{ code, severity, meaning, ...same }]
      })
      return {
        codes: found.map(({ listed: _, ...counts }) => counts),
        findings: found.flatMap(({ listed }) => listed.sort(byIntegration)),
      }
    },
  }
}

const byIntegration = (a: PageFinding, b: PageFinding) => compare(a.integration ?? '', b.integration ?? '')

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

const pageFinding = ({ code, integration, since, evidence, next }: Finding): PageFinding => ({
  code,
  integration: integration && shown(refOf(integration)),
  platform: integration && shown(integration.platform),
  owner: integration?.owner ? shown(integration.owner) : null,
  since: since && shown(since),
  evidence: shown(evidence),
  next: next && printable(next),
})

function expiryCounter() {
  const weeks = Array.from({ length: expiryWeeksBack + expiryWeeksAhead }, () => ({ all: 0, refreshed: 0 }))
  const counts = { earlier: 0, later: 0, never: 0, unknown: 0 }
  let next: { integration: ListedIntegration; ms: number }[] = []
  return {
    add(integration: ListedIntegration, now: number) {
      const { tokenExpiry, tokenExpiresAt } = integration
      if (tokenExpiry === null) return
      const ms = Date.parse(tokenExpiresAt ?? '')
      // A column of the application may hold something else.
      if (Number.isNaN(ms)) {
        counts[tokenExpiry === 'never' ? 'never' : 'unknown']++
        return
      }
      const index = Math.floor((ms - now) / weekMs) + expiryWeeksBack
      const week = weeks[index]
      const refreshed = isRefreshed(integration)
      if (!week) counts[index < 0 ? 'earlier' : 'later']++
      else {
        week.all++
        if (refreshed) week.refreshed++
      }
      if (refreshed || ms <= now || ms >= (next[listedExpiries - 1]?.ms ?? Number.POSITIVE_INFINITY)) return
      next = [...next, { integration, ms }].sort((a, b) => a.ms - b.ms).slice(0, listedExpiries)
    },
    collected: (): ExpiryCounts => ({
      weeks,
      ...counts,
      next: next.map(({ integration, ms }) => ({
        integration: shown(refOf(integration)),
        platform: shown(integration.platform),
        owner: integration.owner === null ? null : shown(integration.owner),
        at: new Date(ms).toISOString(),
      })),
    }),
  }
}

/** What is held of a workspace, of which there may be many: its name, and counts of its integrations by the week of their last use, used before, and never used. */
interface Workspace {
  readonly name: string
  readonly counts: Uint32Array
}

function useCounter() {
  const workspaces = new Map<string, Workspace>()
  const others = new Uint32Array(useWeeks + 2)
  const total = ({ counts }: Pick<Workspace, 'counts'>) => counts.reduce((sum, count) => sum + count, 0)
  return {
    add({ workspaceId, workspace, lastUsedAt }: IntegrationView, now: number) {
      let one = workspaces.get(workspaceId)
      if (!one && workspaces.size < countedWorkspaces) {
        one = { name: workspace, counts: new Uint32Array(useWeeks + 2) }
        workspaces.set(workspaceId, one)
      }
      const counts = one?.counts ?? others
      const weeksAgo = lastUsedAt === null ? Number.NaN : Math.floor((now - Date.parse(lastUsedAt)) / weekMs)
      // A use after the moment is one of a clock that is ahead.
      const place = Number.isNaN(weeksAgo) ? useWeeks + 1 : Math.min(Math.max(weeksAgo, 0), useWeeks)
      counts[place] = (counts[place] ?? 0) + 1
    },
    collected(): UseCounts['rows'] {
      const sorted = [...workspaces.values()].sort((a, b) => total(b) - total(a) || compare(a.name, b.name))
      const rest = sorted
        .splice(listedWorkspaces)
        .reduce((sum, { counts }) => sum.map((n, i) => n + (counts[i] ?? 0)), others)
      const all = rest.some((n) => n > 0) ? [...sorted, { name: null, counts: rest }] : sorted
      return all.map(({ name, counts }) => {
        const [earlier = 0, never = 0] = counts.subarray(useWeeks)
        return {
          workspace: name === null ? null : shown(name),
          integrations: total({ counts }),
          weeks: [...counts.subarray(0, useWeeks)],
          earlier,
          never,
        }
      })
    },
  }
}
