import sql from 'sql-template-tag'
import type { SecretField } from '../integration.ts'
import type { Dialect } from './driver.ts'
import { secretColumns } from './secret-facts.ts'
import type { Statements } from './statements.ts'

/** How an integration's secrets were used since that was last written down. */
export interface Uses {
  /** Of the integration. */
  readonly id: string
  readonly lastUsedAt: Date
  readonly matched: readonly {
    readonly field: SecretField
    readonly number: number
    readonly count: number
    readonly lastAt: Date
  }[]
}

/**
 * What is noted of the use of secrets. That is no change: it takes no part in the order of changes, raises no version,
 * and is not in the audit log.
 */
export const useNotes = (db: Statements, { time }: Dialect) => ({
  /** Says that an endpoint accepts old and new values. */
  async reportIn(at: Date): Promise<void> {
    await db.execute(sql`INSERT INTO integration_settings (key, value, updated_at) VALUES ('receiver', '', ${at})
      ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at`)
  },

  /** Adds to what is known of an integration's use. Another endpoint may know of a later one. */
  async used({ id, lastUsedAt, matched }: Uses): Promise<void> {
    await db.execute(sql`UPDATE integrations SET last_used_at = ${lastUsedAt} WHERE id = ${id}
      AND (last_used_at IS NULL OR ${time(sql`last_used_at`)} < ${time(sql`${lastUsedAt}`)})`)
    for (const { field, number, count, lastAt } of matched)
      await db.execute(sql`UPDATE integration_secrets SET match_count = match_count + ${count}, last_matched_at =
        CASE WHEN ${time(sql`last_matched_at`)} > ${time(sql`${lastAt}`)} THEN last_matched_at ELSE ${lastAt} END
        WHERE integration_id = ${id} AND field = ${secretColumns[field]} AND number = ${number}`)
  },
})
