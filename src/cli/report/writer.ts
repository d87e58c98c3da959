import type { Finding, Severity } from '../../operations/report/finding.ts'
import type { Counts } from '../../operations/report/report.ts'

/** How a report is to be written. */
export interface WriterOptions {
  /** The severities whose findings are failures. */
  readonly failing: readonly Severity[]
}

/** Writes one report in a format: it is given what is found, in the order of the integrations' ids, and then asked for the text. */
export interface Writer {
  find(findings: readonly Finding[]): void
  /** The whole text, in parts. */
  text(counts: Counts): Iterable<string>
}
