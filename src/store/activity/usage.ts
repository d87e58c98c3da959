import sql from 'sql-template-tag'
import type { IntegrationId } from '../../brands.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { type RefusalWriter, refusalWriter } from './health.ts'
import { type ReceiverWriter, receiverWriter } from './receivers.ts'

/** How a version of an integration's secret was used since that was last written down. */
export interface Use {
  /** Of the integration. */
  readonly id: IntegrationId
  readonly field: SecretField
  /** null for a value that is not recorded. */
  readonly number: number | null
  readonly count: number
  readonly lastAt: Date
}

/**
 * Writes down how secrets are used. That is not a change: it takes no part in the order of changes, raises no version,
 * and is not in the audit log.
 */
export interface UsageWriter extends ReceiverWriter, RefusalWriter {
  /**
   * Adds uses to what is known, at most one of each version, all in the same statements. Another endpoint may know of a
   * later use.
   *
   * @param mayCount is asked before the counts are sent, which must not be done twice: false has them left
   * @returns the uses to give again, each alone: other transactions hold their rows
   */
  used(uses: readonly Use[], mayCount: () => boolean): Promise<readonly Use[]>
}

/** The largest number that a count can be on PostgreSQL; a count stays as it is where it would be larger. */
const largestCount = 2_147_483_647

/** Writes down how secrets are used. */
export const usageWriter = (db: Statements, dialect: Dialect): UsageWriter => ({
  ...receiverWriter(db, dialect),
  ...refusalWriter(db, dialect),
  async used(uses, mayCount) {
    const { comparableTime, isMalformed, updateRows } = dialect
    const givenTime = comparableTime(sql`given.at`)
    const last = new Map<IntegrationId, Date>()
    for (const { id, lastAt } of uses) if (!((last.get(id) ?? 0) > lastAt)) last.set(id, lastAt)
    const heldIntegrations = await updateRows(db, {
      table: 'integrations',
      keys: ['id'],
      given: ['id', 'at'],
      rows: [...last],
      set: sql`last_used_at = given.at`,
      where: sql`(last_used_at IS NULL OR ${isMalformed('time', sql`last_used_at`)} OR ${comparableTime(sql`last_used_at`)} < ${givenTime})`,
    })
    const ids = [...last.keys()]
    const heldIds = new Set(heldIntegrations.map((index) => ids[index]))
    const [held, free] = [uses.filter(({ id }) => heldIds.has(id)), uses.filter(({ id }) => !heldIds.has(id))]
    const versions = free.flatMap((use) => (use.number === null ? [] : [{ ...use, number: use.number }]))
    // Last, since it is the one that must not be done twice when the database is busy, and all is tried again.
    if (!mayCount()) return []
    const heldVersions = await updateRows(db, {
      table: 'integration_secrets',
      keys: ['integration_id', 'field', 'number'],
      given: ['integration_id', 'field', 'number', 'count', 'at'],
      rows: versions.map(({ id, field, number, count, lastAt }) => [id, secretColumns[field], number, count, lastAt]),
      set: sql`match_count = CASE WHEN match_count BETWEEN 0 AND ${largestCount} - given.count THEN match_count + given.count ELSE match_count END,
        last_matched_at = CASE WHEN NOT ${isMalformed('time', sql`last_matched_at`)} AND ${comparableTime(sql`last_matched_at`)} > ${givenTime} THEN last_matched_at ELSE given.at END`,
      where: sql`1 = 1`,
    })
    // One alone was waited for.
    return uses.length === 1 ? [] : [...held, ...heldVersions.flatMap((index) => versions[index] ?? [])]
  },
})
