import sql, { join, type Sql } from 'sql-template-tag'
import type { IntegrationId } from '../../brands.ts'
import { type PlatformColumn, type SecretField, secretColumns } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { currentSecret, platformColumn } from '../tables/integration-filter.ts'
import { isPrevious } from '../tables/secret-metadata.ts'

/** A row that nothing finds: what it would be found by cannot be read. */
export interface Stray {
  readonly id: string
  readonly damage: readonly string[]
}

/** What can be found out of all integrations of a platform. That may take long, and has other work have its turn. */
export interface HolderReader {
  /**
   * A row that may be the one that a webhook of a platform names, or hold the secret that it is signed with, because what
   * names the row cannot be read.
   */
  stray(platform: string, column: PlatformColumn | undefined): Promise<Stray | undefined>
  /**
   * Integrations that hold a valid value between them, one for each value of a platform, as far as is recorded: those of
   * at most `limit` values, where the search ends. An integration that holds several may be there several times.
   */
  holders(field: SecretField, platform: string, limit: number): Promise<IntegrationId[]>
}

/** Finds out of all integrations of a platform. */
export function holderReader(db: Statements, dialect: Dialect): HolderReader {
  const { isMalformed, parts } = dialect

  /** Queries for the ids of integrations that hold a value, the quickest first. */
  async function* holding(field: SecretField, platform: string, limit: number): AsyncGenerator<Sql> {
    const column = secretColumns[field]
    // SQLite would begin with the integrations, of which a platform may have as many as there are.
    const held = (condition: Sql, secrets = sql`integration_secrets`) =>
      sql`FROM ${secrets} s CROSS JOIN integrations i WHERE i.id = s.integration_id AND i.platform = ${platform}
        AND (s.valid_until IS NULL OR ${isPrevious(dialect)}) AND ${condition}`
    const malformed = isMalformed('text', sql`s.fingerprint`)
    // In the form that has the index used for both, whatever is known of how many rows a field has.
    const from = (operator: Sql, fingerprint: Sql) =>
      held(
        sql`(s.field, s.fingerprint) ${operator} (${column}, ${fingerprint}) AND s.field <= ${column} AND NOT ${malformed} ORDER BY s.field, s.fingerprint LIMIT 1`,
      )
    const known = sql`known.fingerprint || ''`
    const without = held(sql`s.field = ${column} AND s.fingerprint IS NULL ORDER BY s.field, s.fingerprint LIMIT 1`)
    // From each fingerprint to the next by the index, as many rows may share one.
    yield sql`WITH RECURSIVE known (fingerprint, place) AS (
        SELECT (SELECT s.fingerprint ${from(sql`>=`, sql`''`)}), 1
        UNION ALL SELECT (SELECT s.fingerprint ${from(sql`>`, known)}), known.place + 1
          FROM known WHERE known.fingerprint IS NOT NULL AND known.place < ${limit})
      SELECT (SELECT s.integration_id ${from(sql`>=`, known)}) AS id FROM known WHERE known.fingerprint IS NOT NULL
      UNION ALL SELECT (SELECT s.integration_id ${without})`
    for await (const part of parts(db, 'integrations'))
      yield sql`SELECT i.id FROM ${part} i WHERE i.platform = ${platform} AND ${sql([`i.${column}`])} IS NOT NULL
        AND NOT EXISTS (${currentSecret(field)})`
    // Nothing follows a BLOB in the order of texts: after it, the walk would come to it again and again.
    for await (const part of parts(db, 'integration_secrets'))
      yield sql`SELECT s.integration_id AS id ${held(sql`s.field = ${column} AND ${malformed}`, part)}`
  }

  return {
    async stray(platform, column) {
      const names = {
        id: sql`i.id`,
        platform: sql`i.platform`,
        ...(column ? { [column]: platformColumn(column) } : {}),
      }
      const unreadable = Object.values(names).map((name) => isMalformed('text', name))
      for await (const part of parts(db, 'integrations')) {
        const [found] = await db.queryAll<{ id: string }>(
          names,
          sql`FROM ${part} i WHERE (i.platform = ${platform} OR ${isMalformed('text', names.platform)})
            AND (${join(unreadable, ' OR ')}) LIMIT 1`,
        )
        if (found?.damage) return { id: found.id, damage: found.damage }
      }
      // Without its version, a current value is told of where it is read.
      const id = sql`s.integration_id`
      const [previous] = await db.queryAll<{ id: string }>(
        { id },
        sql`FROM integration_secrets s WHERE s.sealed IS NOT NULL AND ${isMalformed('text', id)} LIMIT 1`,
      )
      return previous?.damage && { id: previous.id, damage: previous.damage }
    },
    async holders(field, platform, limit) {
      const found: IntegrationId[] = []
      for await (const ids of holding(field, platform, limit)) {
        const rows = await db.queryAll<{ id: IntegrationId }>(
          { id: sql`h.id` },
          sql`FROM (${ids}) h WHERE h.id IS NOT NULL LIMIT ${limit - found.length}`,
        )
        found.push(...rows.map(({ id }) => id))
        if (found.length >= limit) break
      }
      return found
    },
  }
}
