import type { Finding, Severity } from '../../operations/report/finding.ts'
import type { Counts, See } from '../../operations/report/report.ts'

/** How a report is to be written. */
export interface WriterOptions {
  /** The severities whose findings are failures. */
  readonly failing: readonly Severity[]
  /** Warns people. */
  readonly warn: (text: string) => void
  /** The URL of the database, without a password. */
  readonly database: string
  /** The options that limit the report, as they were parsed. */
  readonly limits: { readonly [option: string]: unknown }
}

/** Writes one report in a format: it sees integrations if it wants to, is given what is found, in the order of the integrations' ids, and then asked for the text. */
export interface Writer {
  find(findings: readonly Finding[]): void
  readonly see?: See
  /** How many of the last changes it needs. */
  readonly lastChanges?: number
  /** The whole text, in parts. */
  text(counts: Counts): Iterable<string>
}
