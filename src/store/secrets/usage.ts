import sql from 'sql-template-tag'
import type { IntegrationId } from '../../brands.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { type ReceiverWriter, receiverWriter } from '../tables/receivers.ts'

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
export interface UsageWriter extends ReceiverWriter {
  /** Adds to what is known of an integration's use. Another endpoint may know of a later one. */
  used(use: Use): Promise<void>
}

/** The largest number that a count can be on PostgreSQL; a count stays as it is where it would be larger. */
const largestCount = 2_147_483_647

/** Writes down how secrets are used. */
export const usageWriter = (db: Statements, dialect: Dialect): UsageWriter => ({
  ...receiverWriter(db, dialect),
  async used({ id, field, number, count, lastAt }) {
    const { comparableTime, isMalformed } = dialect
    await db.execute(sql`UPDATE integrations SET last_used_at = ${lastAt} WHERE id = ${id}
      AND (last_used_at IS NULL OR ${isMalformed('time', sql`last_used_at`)} OR ${comparableTime(sql`last_used_at`)} < ${comparableTime(sql`${lastAt}`)})`)
    // Last, since it is the one that must not be done twice when the database is busy, and all is tried again.
    await db.execute(sql`UPDATE integration_secrets SET
      match_count = CASE WHEN match_count BETWEEN 0 AND ${largestCount - count} THEN match_count + ${count} ELSE match_count END, last_matched_at =
      CASE WHEN NOT ${isMalformed('time', sql`last_matched_at`)} AND ${comparableTime(sql`last_matched_at`)} > ${comparableTime(sql`${lastAt}`)} THEN last_matched_at ELSE ${lastAt} END
      WHERE integration_id = ${id} AND field = ${secretColumns[field]} AND number = ${number}`)
  },
})
