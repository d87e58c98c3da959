import type { ListedIntegration } from '../../integration.ts'
import type { Reader } from '../../store/store.ts'
import type { IntegrationFilter } from '../../store/tables/integration-filter.ts'
import type { ListReader, Page } from '../../store/tables/page.ts'
import type { IntegrationCode } from './finding.ts'
import { beginJudging } from './judging.ts'

/**
 * Reads the integrations of which a report tells a finding with one of some codes, by judging all that the filter leaves.
 *
 * @param db a snapshot, whose rows are read in pages
 */
export function withFindings(
  db: Reader,
  codes: readonly IntegrationCode[],
): ListReader<IntegrationFilter, ListedIntegration> {
  const { listed } = db.integrations
  const wanted = new Set<string>(codes)
  async function* list(filter: IntegrationFilter, { limit = Number.POSITIVE_INFINITY, ...page }: Page) {
    const judging = await beginJudging(db)
    let left = limit
    for await (const batch of listed.list(filter, { ...page, inPages: true })) {
      const findings = await judging.of(batch)
      const found = new Set(
        findings.flatMap((one) =>
          wanted.has(one.code) && judging.ignoredUntil(one) === undefined ? [one.integration] : [],
        ),
      )
      const rows = batch.filter((one) => found.has(one)).slice(0, left)
      left -= rows.length
      if (rows.length > 0) yield rows
      if (left === 0) return
    }
  }
  return {
    list,
    async count(filter, { limit: _, ...page } = { sort: 'id', descending: false }) {
      let count = 0
      for await (const rows of list(filter, page)) count += rows.length
      return count
    },
    idLength: listed.idLength,
  }
}
