import { setImmediate as turn } from 'node:timers/promises'
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

/** Whose secrets are looked for: those of a field, on a platform. */
interface Search {
  readonly field: SecretField
  readonly platform: string
  readonly limit: number
}

/** Finds out of all integrations of a platform. */
export function holderReader(db: Statements, dialect: Dialect): HolderReader {
  const { isMalformed, parts } = dialect
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
      for await (const ids of holding(db, dialect, { field, platform, limit })) {
        found.push(...ids.slice(0, limit - found.length))
        if (found.length >= limit) break
      }
      return found
    },
  }
}

/** What finds secrets of one search. */
function searching(db: Statements, dialect: Dialect, { field, platform, limit }: Search) {
  const column = secretColumns[field]
  const malformed = dialect.isMalformed('text', sql`s.fingerprint`)
  return {
    column,
    malformed,
    /** Those that are valid, of some secrets. */
    held: (secrets: Sql, condition = sql`1 = 1`) =>
      // SQLite would begin with the integrations, of which a platform may have as many as there are.
      sql`FROM ${secrets} s CROSS JOIN integrations i WHERE i.id = s.integration_id AND i.platform = ${platform}
        AND (s.valid_until IS NULL OR ${isPrevious(dialect)}) AND ${condition}`,
    /** Those that follow a fingerprint, in the form that has the index used for both, whatever is known of how many rows a field has. */
    following: (operator: Sql, fingerprint: Sql) =>
      sql`(s.field, s.fingerprint) ${operator} (${column}, ${fingerprint}) AND s.field <= ${column} AND NOT ${malformed}`,
    withNone: sql`s.field = ${column} AND s.fingerprint IS NULL`,
    async idsOf(ids: Sql, most = limit) {
      const rows = await db.queryAll<{ id: IntegrationId }>(
        { id: sql`h.id` },
        sql`FROM (${ids}) h WHERE h.id IS NOT NULL LIMIT ${most}`,
      )
      return rows.map(({ id }) => id)
    },
  }
}

/** Ids of integrations that hold a value, the quickest first. */
async function* holding(db: Statements, dialect: Dialect, search: Search): AsyncGenerator<IntegrationId[]> {
  const { column, malformed, held, idsOf } = searching(db, dialect, search)
  const { field, platform } = search
  if (dialect.rowsAtOnce === undefined) yield idsOf(skipping(db, dialect, search))
  else yield* inSteps(db, dialect, { ...search, rowsAtOnce: dialect.rowsAtOnce })
  for await (const part of dialect.parts(db, 'integrations'))
    yield idsOf(sql`SELECT i.id FROM ${part} i WHERE i.platform = ${platform} AND ${sql([`i.${column}`])} IS NOT NULL
      AND NOT EXISTS (${currentSecret(field)})`)
  // Nothing follows a BLOB in the order of texts: after it, a walk would come to it again and again.
  for await (const part of dialect.parts(db, 'integration_secrets'))
    yield idsOf(sql`SELECT s.integration_id AS id ${held(part, sql`s.field = ${column} AND ${malformed}`)}`)
}

/** A query that goes from each fingerprint to the next by the index, as many rows may share one. */
function skipping(db: Statements, dialect: Dialect, search: Search): Sql {
  const { held, following, withNone } = searching(db, dialect, search)
  const known = sql`known.fingerprint || ''`
  const first = (condition: Sql) =>
    sql`${held(sql`integration_secrets`, condition)} ORDER BY s.field, s.fingerprint LIMIT 1`
  return sql`WITH RECURSIVE known (fingerprint, place) AS (
      SELECT (SELECT s.fingerprint ${first(following(sql`>=`, sql`''`))}), 1
      UNION ALL SELECT (SELECT s.fingerprint ${first(following(sql`>`, known))}), known.place + 1
        FROM known WHERE known.fingerprint IS NOT NULL AND known.place < ${search.limit})
    SELECT (SELECT s.integration_id ${first(following(sql`>=`, known))}) AS id FROM known WHERE known.fingerprint IS NOT NULL
    UNION ALL SELECT (SELECT s.integration_id ${first(withNone)})`
}

/** The same in steps of so many rows: those of other platforms may be many. */
async function* inSteps(
  db: Statements,
  dialect: Dialect,
  { rowsAtOnce, ...search }: Search & { readonly rowsAtOnce: number },
): AsyncGenerator<IntegrationId[]> {
  const { column, held, following, withNone, idsOf } = searching(db, dialect, search)

  async function firstHolder(condition: Sql): Promise<IntegrationId[]> {
    for await (const part of dialect.parts(db, 'integration_secrets')) {
      const ids = await idsOf(sql`SELECT s.integration_id AS id ${held(part, condition)}`, 1)
      if (ids.length > 0) return ids
    }
    return []
  }

  /** Holders of the values of the next rows, and the condition of those that follow where there may be others. */
  async function step(condition: Sql) {
    await turn()
    const rows = sql`(SELECT * FROM integration_secrets s WHERE ${condition} ORDER BY s.field, s.fingerprint LIMIT ${rowsAtOnce})`
    const [walked] = await db.query<{ n: number | bigint; first: string | null; last: string | null }>(
      { n: sql`count(*)`, first: sql`min(s.fingerprint)`, last: sql`max(s.fingerprint)` },
      sql`FROM ${rows} s`,
    )
    const found = await db.queryAll<{ id: IntegrationId; fingerprint: string | null }>(
      { id: sql`h.id`, fingerprint: sql`h.fingerprint` },
      sql`FROM (SELECT min(s.integration_id) AS id, s.fingerprint ${held(rows)} GROUP BY s.fingerprint) h LIMIT ${search.limit}`,
    )
    const ids = found.map(({ id }) => id)
    if (!walked || Number(walked.n) < rowsAtOnce || ids.length >= search.limit) return { ids }
    const { first, last } = walked
    const after = last === null ? undefined : following(sql`>`, sql`${last}`)
    if (found.some(({ fingerprint }) => fingerprint === last)) return { ids, next: after }
    // The last value may have more rows, one of the platform among them.
    if (last !== null && first !== last) return { ids, next: following(sql`>=`, sql`${last}`) }
    const same = last === null ? withNone : sql`s.field = ${column} AND s.fingerprint = ${last}`
    return { ids: [...ids, ...(await firstHolder(same))], next: after }
  }

  for (let condition: Sql | undefined = following(sql`>=`, sql`''`); condition; ) {
    const { ids, next }: { ids: IntegrationId[]; next?: Sql | undefined } = await step(condition)
    yield ids
    condition = next
  }
  const { ids } = await step(withNone)
  yield ids
}
