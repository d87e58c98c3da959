import type { ReportFormat } from '../host.ts'
import type { Writer, WriterOptions } from './writer.ts'

const load: { readonly [F in ReportFormat]: () => Promise<(options: WriterOptions) => Writer> } = {
  html: async () => (await import('./html.ts')).html,
  markdown: async () => (await import('./markdown.ts')).markdown,
  junit: async () => (await import('./junit.ts')).junit,
  openmetrics: async () => (await import('./openmetrics.ts')).openmetrics,
}

/** What writes a report in a format, which is loaded on first use. */
export const writerOf = async (format: ReportFormat, options: WriterOptions): Promise<Writer> =>
  (await load[format]())(options)
