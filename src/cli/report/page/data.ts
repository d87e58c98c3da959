/** What the page of a report shows: collect.ts makes it, and client/ draws it. Every text of it is printable. @module */
import type { Severity } from '../../../operations/report/finding.ts'

/** All that is on the page. */
export interface PageData {
  readonly version: string
  /** The URL of the database, without a password. */
  readonly database: string
  /** The moment of all that is shown, as RFC 3339. */
  readonly at: string
  /** How many findings and integrations there are: numbers, and no text of the database. */
  readonly sentence: string
  /** What limits the report, as flags. */
  readonly limits: readonly string[]
  /** Whether only some findings are told, of those that there are. */
  readonly isPartial: boolean
  /** How many more findings are ignored. */
  readonly ignored: number
  /** When the first of these counts again, as RFC 3339; null: there is none. */
  readonly ignoredUntil: string | null
  /** Those with the most errors first. */
  readonly platforms: readonly GroupCounts[]
  /** The same; empty: nobody is named. */
  readonly owners: readonly GroupCounts[]
  readonly codes: readonly CodeCounts[]
  readonly expiry: ExpiryCounts
  readonly use: UseCounts
  /** The worst first. Of more than `listedFindings`, some of each code. */
  readonly findings: readonly PageFinding[]
  /** The newest first; null: the page is not of the whole database. */
  readonly changes: readonly PageChange[] | null
}

/** How many findings of each severity there are. */
export type SeverityCounts = { readonly [S in Severity]: number }

/** What was counted of the integrations of a platform, or of an owner. */
export interface GroupCounts extends SeverityCounts {
  /** null: nobody is named as their owner. */
  readonly name: string | null
  /** Whether these are all that have no row of their own. */
  readonly isRest: boolean
  readonly integrations: number
  readonly inactive: number
  /** Active integrations without a finding. */
  readonly clean: number
}

/** How often something was found. */
export interface CodeCounts {
  readonly code: string
  readonly severity: Severity
  readonly meaning: string
  readonly count: number
}

/** When the access tokens of active integrations expire. */
export interface ExpiryCounts {
  /** For each week, from `expiryWeeksBack` weeks before the moment on: how many there are, and how many of these `refresh` replaces in time. */
  readonly weeks: readonly { readonly all: number; readonly refreshed: number }[]
  readonly earlier: number
  readonly later: number
  readonly never: number
  readonly unknown: number
  /** The next that a person has to replace, the soonest first. */
  readonly next: readonly {
    readonly integration: string
    readonly platform: string
    readonly owner: string | null
    readonly at: string
  }[]
}

/** When active integrations were last used. */
export interface UseCounts {
  /** Whether any use was ever recorded. */
  readonly recorded: boolean
  /** The workspaces with the most integrations; the last row may be all others. */
  readonly rows: readonly {
    /** null: all workspaces that are not listed. */
    readonly workspace: string | null
    readonly integrations: number
    /** For each week, the last first: how many integrations were last used in it. */
    readonly weeks: readonly number[]
    readonly earlier: number
    readonly never: number
  }[]
}

/** A finding as the page lists it. */
export interface PageFinding {
  readonly code: string
  /** null: the finding is about the database. */
  readonly integration: string | null
  readonly platform: string | null
  readonly owner: string | null
  readonly since: string | null
  readonly evidence: string
  readonly next: string | null
}

/** An event of the audit log as the page lists it. */
export interface PageChange {
  readonly at: string
  readonly action: string
  readonly target: string
  readonly who: string
  readonly reason: string | null
}

/** Weeks before the moment that the timeline of expiry shows: 90 days. */
export const expiryWeeksBack = 13
/** Weeks after the moment that the timeline of expiry shows: a year. */
export const expiryWeeksAhead = 52
/** Weeks before the moment that the map of last use shows. */
export const useWeeks = 12
