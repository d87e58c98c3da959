import sql, { type Sql } from 'sql-template-tag'
import type { Statements } from '../database/statements.ts'
import type { Provider } from '../database/url.ts'
import { ownTriggers } from '../migrations.ts'

/** A trigger or rule on a table of this program that is not as the migrations made it. */
export interface TriggerDifference {
  readonly name: string
  readonly difference: 'missing' | 'changed' | 'foreign'
}

/** What tells of the triggers and rules on the tables of this program; a definition that is switched off is none. */
const definitions: { readonly [P in Provider]: { readonly definition: Sql; readonly from: Sql } } = {
  sqlite: {
    definition: sql`t.sql`,
    from: sql`FROM sqlite_master t WHERE t.type = 'trigger' AND substr(t.tbl_name, 1, 12) = 'integration_'`,
  },
  postgresql: {
    definition: sql`t.definition`,
    from: sql`FROM (
      SELECT g.tgname AS name, CASE WHEN g.tgenabled = 'O' THEN p.prosrc END AS definition
        FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_proc p ON p.oid = g.tgfoid
        WHERE NOT g.tgisinternal AND c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND starts_with(c.relname, 'integration_')
      UNION ALL SELECT r.rulename, NULL FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
        WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND starts_with(c.relname, 'integration_') AND r.rulename <> '_RETURN'
    ) t`,
  },
}

/** Compares the triggers on the tables of this program with those of its migrations. */
export async function triggerDifferences(db: Statements, provider: Provider): Promise<TriggerDifference[]> {
  const expected = ownTriggers(provider)
  const { definition, from } = definitions[provider]
  const found = await db.queryInPages<{ name: string; definition: string | null }>(
    { name: sql`t.name`, definition },
    sql`${from} ORDER BY t.name, ${definition}`,
  )
  const plain = (text: string | null | undefined) => text?.replace(/\s+/g, ' ').trim()
  const differences = found.flatMap(({ name, definition: is }): TriggerDifference[] => {
    if (!expected.has(name)) return [{ name, difference: 'foreign' }]
    return plain(is) === plain(expected.get(name)) ? [] : [{ name, difference: 'changed' }]
  })
  const missing = [...expected.keys()].filter((name) => !found.some((one) => one.name === name))
  return [...missing.map((name) => ({ name, difference: 'missing' as const })), ...differences]
}
