import sql, { join, type Sql } from 'sql-template-tag'
import type { Statements } from '../database/statements.ts'
import type { Provider } from '../database/url.ts'

/** A column, in the words of its database. */
export interface CatalogueColumn {
  /** As it is written: SQLite takes it in any case. */
  readonly name: string
  readonly type: string
  /** What a domain of PostgreSQL is made of; else the type. */
  readonly base: string
  /** What PostgreSQL takes the type for, as in `S` for texts; `strict` where SQLite takes no other type. */
  readonly category: string
  readonly nullable: boolean
  /** The expression; null when there is none. What the database generates counts as one. */
  readonly default: string | null
  /** No value can be written. */
  readonly isGenerated: boolean
  /** The values of an enum of PostgreSQL; null for other types. */
  readonly labels: readonly string[] | null
}

/** A table as it is. Several columns of one key are joined by commas. On SQLite, names are in lower case. */
export interface CatalogueTable {
  readonly isView: boolean
  /** Whether rows can be inserted, updated and deleted. */
  readonly isUpdatable: boolean
  /** Whether only triggers of a view do that. */
  readonly needsTriggers: boolean
  /** A trigger may fill columns of a row before it is inserted. */
  readonly hasFiller: boolean
  readonly columns: ReadonlyMap<string, CatalogueColumn>
  readonly primaryKey: string
  /** What unique constraints and indexes hold for, but for those on expressions or on a part of the rows. */
  readonly unique: ReadonlySet<string>
  /** The columns that its foreign keys refer to. */
  readonly references: ReadonlyMap<string, string>
}

interface ColumnRow extends Omit<CatalogueColumn, 'nullable' | 'isGenerated' | 'labels'> {
  readonly table: string
  readonly isView: boolean | number
  readonly isUpdatable: boolean | number
  readonly needsTriggers: boolean | number
  readonly hasFiller: boolean | number
  /** The name of the column for those who look it up. */
  readonly key: string
  readonly nullable: boolean | number
  readonly isGenerated: boolean | number
  /** As JSON. */
  readonly labels: string | null
}

/** How a database may write that there is none. */
const noDefault = /^\(?null(::.*)?\)?$/i

interface KeyRow {
  readonly table: string
  readonly columns: string
}

/** Reads tables and views of a database, or of the schema of its URL, by their names. Those that are not there are left out. */
export async function readCatalogue(
  db: Statements,
  provider: Provider,
  tableNames: readonly string[],
): Promise<Map<string, CatalogueTable>> {
  const queries = (provider === 'sqlite' ? sqliteQueries : postgresqlQueries)(join(tableNames))
  const columns = await db.query<ColumnRow>(
    {
      table: sql`q."table"`,
      isView: sql`(q."isView")`,
      isUpdatable: sql`(q."isUpdatable")`,
      needsTriggers: sql`(q."needsTriggers")`,
      hasFiller: sql`(q."hasFiller")`,
      key: sql`q.key`,
      name: sql`q.name`,
      type: sql`q.type`,
      base: sql`q.base`,
      category: sql`q.category`,
      nullable: sql`(q.nullable)`,
      default: sql`q."default"`,
      isGenerated: sql`(q."isGenerated")`,
      labels: sql`q.labels`,
    },
    sql`FROM (${queries.columns}) q`,
  )
  const keys = await db.query<KeyRow & { readonly primaryKey: boolean | number }>(
    { table: sql`q."table"`, columns: sql`q.columns`, primaryKey: sql`(q."primaryKey")` },
    sql`FROM (${queries.keys}) q`,
  )
  const references = await db.query<KeyRow & { readonly to: string }>(
    { table: sql`q."table"`, columns: sql`q.columns`, to: sql`q."to"` },
    sql`FROM (${queries.references}) q`,
  )
  const tables = new Map<string, CatalogueTable>()
  for (const name of new Set(columns.map(({ table }) => table))) {
    const of = <Row extends { table: string }>(rows: readonly Row[]) => rows.filter(({ table }) => table === name)
    tables.set(name, {
      isView: of(columns).some(({ isView }) => isView),
      isUpdatable: of(columns).some(({ isUpdatable }) => isUpdatable),
      needsTriggers: of(columns).some(({ needsTriggers }) => needsTriggers),
      hasFiller: of(columns).some(({ hasFiller }) => hasFiller),
      columns: new Map(
        of(columns).map(({ key, name, type, base, category, default: expression, ...flags }) => [
          key,
          {
            name,
            type,
            base,
            category,
            nullable: Boolean(flags.nullable),
            default: expression === null || noDefault.test(expression) ? null : expression,
            isGenerated: Boolean(flags.isGenerated),
            labels: flags.labels === null ? null : (JSON.parse(flags.labels) as string[]),
          },
        ]),
      ),
      primaryKey: of(keys).find(({ primaryKey }) => primaryKey)?.columns ?? '',
      unique: new Set(of(keys).map((key) => key.columns)),
      references: new Map(of(references).map(({ columns: from, to }) => [from, to])),
    })
  }
  return tables
}

/** Whether what this program takes for the table of integrations is a view of the application. */
export const showsViews = async (db: Statements, provider: Provider): Promise<boolean> =>
  provider === 'postgresql' &&
  db.some(sql`FROM pg_class c WHERE c.relname = 'integrations' AND c.relkind = 'v'
    AND c.relnamespace = to_regnamespace(quote_ident(current_schema()))`)

const sqliteQueries = (tableNames: Sql) => {
  const tables = sql`(SELECT name, lower(name) AS "table", type = 'view' AS "isView" FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) IN (${tableNames}))`
  return {
    columns: sql`SELECT t."table", t."isView", lower(c.name) AS key, c.name, c.type, c.type AS base, 0 AS "hasFiller", t."isView" AS "needsTriggers", NULL AS labels, NOT c."notnull" AS nullable, c.hidden > 1 AS "isGenerated",
      CASE WHEN c.hidden > 1 THEN 'generated' ELSE c.dflt_value END AS "default",
      CASE WHEN (SELECT l.strict FROM pragma_table_list(t.name) l WHERE l.schema = 'main') THEN 'strict' ELSE '' END AS category,
      NOT t."isView" OR EXISTS (SELECT 1 FROM sqlite_master m WHERE m.type = 'trigger' AND lower(m.tbl_name) = t."table") AS "isUpdatable"
    FROM ${tables} t JOIN pragma_table_xinfo(t.name) c ORDER BY t."table", c.cid`,
    // A primary key of one integer column has no index.
    keys: sql`SELECT t."table", (SELECT group_concat(lower(c.name), ',') FROM (SELECT name FROM pragma_table_info(t.name) WHERE pk > 0 ORDER BY pk) c) AS columns, 1 AS "primaryKey"
      FROM ${tables} t WHERE columns IS NOT NULL
    UNION ALL SELECT t."table", (SELECT group_concat(coalesce(lower(c.name), '()'), ',') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) c), 0
      FROM ${tables} t JOIN pragma_index_list(t.name) i WHERE i."unique" AND NOT i.partial`,
    // Without a column, the other table's primary key is meant.
    references: sql`SELECT t."table", group_concat(lower(f."from"), ',') AS columns, lower(f."table" || '.' || group_concat(coalesce(f."to", 'id'), ',')) AS "to"
    FROM ${tables} t JOIN pragma_foreign_key_list(t.name) f GROUP BY t."table", f.id`,
  }
}

const names = (table: Sql, numbers: Sql) =>
  sql`(SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(${numbers}) WITH ORDINALITY k(number, place) JOIN pg_attribute a ON a.attrelid = ${table} AND a.attnum = k.number)`

/** What a type is made of: itself, or what the domains down to it add to it. */
const base = (type: Sql, modifier: Sql) => sql`(WITH RECURSIVE types AS (
    SELECT ${type} AS oid, ${modifier} AS modifier, FALSE AS "notNull", NULL::text COLLATE "C" AS "default", 0 AS depth
    UNION ALL SELECT y.typbasetype, y.typtypmod, t."notNull" OR y.typnotnull, coalesce(t."default", y.typdefault), t.depth + 1
      FROM types t JOIN pg_type y ON y.oid = t.oid AND y.typtype = 'd')
  SELECT * FROM types ORDER BY depth DESC LIMIT 1)`

const postgresqlQueries = (tableNames: Sql) => {
  const tables = sql`(SELECT oid, relkind, relname::text AS "table" FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace = to_regnamespace(quote_ident(current_schema())) AND relname IN (${tableNames}))`
  // A view takes changes when it shows rows of one table as they are, or has triggers that make them.
  const isUpdatable = sql`(t.relkind IN ('r', 'p') OR pg_relation_is_updatable(t.oid, true) & 28 = 28)`
  return {
    columns: sql`SELECT t."table", t.relkind IN ('v', 'm') AS "isView", ${isUpdatable} AS "isUpdatable",
      t.relkind NOT IN ('r', 'p') AND pg_relation_is_updatable(t.oid, false) & 28 <> 28 AS "needsTriggers", a.attname::text AS key, a.attname::text AS name,
      EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgenabled IN ('O', 'A') AND g.tgtype & 7 = 7) AS "hasFiller",
      format_type(a.atttypid, a.atttypmod) AS type, format_type(b.oid, b.modifier) AS base, y.typcategory::text AS category,
      (SELECT json_agg(e.enumlabel)::text FROM pg_enum e WHERE e.enumtypid = b.oid) AS labels, NOT (a.attnotnull OR b."notNull") AS nullable,
      CASE WHEN a.attidentity = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), b."default") ELSE 'generated' END AS "default",
      a.attgenerated <> '' OR (t.relkind = 'v' AND ${isUpdatable} AND NOT pg_column_is_updatable(t.oid, a.attnum, true)) AS "isGenerated"
    FROM ${tables} t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN LATERAL ${base(sql`a.atttypid`, sql`a.atttypmod`)} b JOIN pg_type y ON y.oid = b.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum ORDER BY t."table", a.attnum`,
    keys: sql`SELECT t."table", ${names(sql`t.oid`, sql`(i.indkey::int2[])[0:i.indnkeyatts - 1]`)} AS columns, i.indisprimary AS "primaryKey"
    FROM ${tables} t JOIN pg_index i ON i.indrelid = t.oid
    WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY 1, 2`,
    references: sql`SELECT t."table", ${names(sql`t.oid`, sql`c.conkey`)} AS columns, other.relname || '.' || ${names(sql`other.oid`, sql`c.confkey`)} AS "to"
    FROM ${tables} t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f' AND c.conparentid = 0 JOIN pg_class other ON other.oid = c.confrelid ORDER BY 1, 2`,
  }
}
