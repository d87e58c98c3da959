import sql, { type Sql } from 'sql-template-tag'
import type { Statements } from '../database/statements.ts'
import type { Provider } from '../database/url.ts'

/** A column, in the words of its database. */
export interface CatalogueColumn {
  readonly type: string
  readonly nullable: boolean
  /** The expression; null when there is none. What the database generates counts as one. */
  readonly default: string | null
}

/** What a foreign key refers to, and what it does; rules are in lower case, as in `set null`. */
export interface CatalogueReference {
  readonly to: string
  readonly onDelete: string
  readonly onUpdate: string
}

/** A table as it is. Several columns of one key are joined by commas. */
export interface CatalogueTable {
  readonly columns: ReadonlyMap<string, CatalogueColumn>
  readonly primaryKey: string
  /** What unique constraints and indexes hold for, but for those on expressions or on a part of the rows. */
  readonly unique: ReadonlySet<string>
  readonly references: ReadonlyMap<string, CatalogueReference>
}

interface ColumnRow extends Omit<CatalogueColumn, 'nullable'> {
  readonly table: string
  readonly name: string
  readonly nullable: boolean | number
}

interface KeyRow {
  readonly table: string
  readonly columns: string
}

/** Reads every table of a database, or of the schema of its URL. */
export async function readCatalogue(db: Statements, provider: Provider): Promise<Map<string, CatalogueTable>> {
  const queries = provider === 'sqlite' ? sqliteQueries : postgresqlQueries
  const columns = await db.query<ColumnRow>(
    {
      table: sql`q."table"`,
      name: sql`q.name`,
      type: sql`q.type`,
      nullable: sql`(q.nullable)`,
      default: sql`q."default"`,
    },
    sql`FROM (${queries.columns}) q`,
  )
  const keys = await db.query<KeyRow & { readonly primaryKey: boolean | number }>(
    { table: sql`q."table"`, columns: sql`q.columns`, primaryKey: sql`(q."primaryKey")` },
    sql`FROM (${queries.keys}) q`,
  )
  const references = await db.query<KeyRow & CatalogueReference>(
    {
      table: sql`q."table"`,
      columns: sql`q.columns`,
      to: sql`q."to"`,
      onDelete: sql`q."onDelete"`,
      onUpdate: sql`q."onUpdate"`,
    },
    sql`FROM (${queries.references}) q`,
  )
  const tables = new Map<string, CatalogueTable>()
  for (const name of new Set(columns.map(({ table }) => table))) {
    const of = <Row extends { table: string }>(rows: readonly Row[]) => rows.filter(({ table }) => table === name)
    tables.set(name, {
      columns: new Map(
        of(columns).map((column) => [
          column.name,
          { type: column.type, nullable: Boolean(column.nullable), default: column.default },
        ]),
      ),
      primaryKey: of(keys).find(({ primaryKey }) => primaryKey)?.columns ?? '',
      unique: new Set(of(keys).map((key) => key.columns)),
      references: new Map(
        of(references).map(({ columns: from, to, onDelete, onUpdate }) => [
          from,
          { to, onDelete: onDelete.toLowerCase(), onUpdate: onUpdate.toLowerCase() },
        ]),
      ),
    })
  }
  return tables
}

const sqliteTables = sql`(SELECT name AS "table" FROM sqlite_master WHERE type = 'table')`

const sqliteQueries = {
  columns: sql`SELECT t."table", c.name, c.type, NOT c."notnull" AS nullable, CASE WHEN c.hidden > 1 THEN 'generated' ELSE c.dflt_value END AS "default"
    FROM ${sqliteTables} t JOIN pragma_table_xinfo(t."table") c ORDER BY t."table", c.cid`,
  // A primary key of one integer column has no index.
  keys: sql`SELECT t."table", (SELECT group_concat(c.name, ',') FROM (SELECT name FROM pragma_table_info(t."table") WHERE pk > 0 ORDER BY pk) c) AS columns, 1 AS "primaryKey"
      FROM ${sqliteTables} t WHERE columns IS NOT NULL
    UNION ALL SELECT t."table", (SELECT group_concat(coalesce(c.name, '()'), ',') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) c), 0
      FROM ${sqliteTables} t JOIN pragma_index_list(t."table") i WHERE i."unique" AND NOT i.partial`,
  // Without a column, the other table's primary key is meant.
  references: sql`SELECT t."table", group_concat(f."from", ',') AS columns, f."table" || '.' || group_concat(coalesce(f."to", 'id'), ',') AS "to",
      f.on_delete AS "onDelete", f.on_update AS "onUpdate"
    FROM ${sqliteTables} t JOIN pragma_foreign_key_list(t."table") f GROUP BY t."table", f.id`,
}

const postgresqlTables = sql`(SELECT oid, relname::text AS "table" FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(quote_ident(current_schema())))`

const names = (table: Sql, numbers: Sql) =>
  sql`(SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(${numbers}) WITH ORDINALITY k(number, place) JOIN pg_attribute a ON a.attrelid = ${table} AND a.attnum = k.number)`

const rule = (column: Sql) =>
  sql`CASE ${column} WHEN 'a' THEN 'no action' WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' ELSE 'set default' END`

const postgresqlQueries = {
  columns: sql`SELECT t."table", a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
      CASE WHEN a.attidentity = '' THEN pg_get_expr(d.adbin, d.adrelid) ELSE 'generated' END AS "default"
    FROM ${postgresqlTables} t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum ORDER BY t."table", a.attnum`,
  keys: sql`SELECT t."table", ${names(sql`t.oid`, sql`(i.indkey::int2[])[0:i.indnkeyatts - 1]`)} AS columns, i.indisprimary AS "primaryKey"
    FROM ${postgresqlTables} t JOIN pg_index i ON i.indrelid = t.oid
    WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY 1, 2`,
  references: sql`SELECT t."table", ${names(sql`t.oid`, sql`c.conkey`)} AS columns, other.relname || '.' || ${names(sql`other.oid`, sql`c.confkey`)} AS "to",
      ${rule(sql`c.confdeltype`)} AS "onDelete", ${rule(sql`c.confupdtype`)} AS "onUpdate"
    FROM ${postgresqlTables} t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f' AND c.conparentid = 0 JOIN pg_class other ON other.oid = c.confrelid ORDER BY 1, 2`,
}
