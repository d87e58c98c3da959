import sql, { join, type Sql } from 'sql-template-tag'
import { conflict, IntegrationsError, quoted } from '../../errors.ts'
import type { Dialect, Driver } from '../database/driver.ts'
import { fileCheck } from '../database/private-files.ts'
import type { Session } from '../database/session.ts'
import type { Statements } from '../database/statements.ts'
import { commandOn, type Provider } from '../database/url.ts'
import { readState, refusalFor, refuseReadOnly, type StoreOptions, withDatabase } from './ready.ts'

/** An index on a table of the application, for what is looked up there. */
interface Definition {
  readonly name: string
  readonly table: string
  /** Columns that are looked up by. */
  readonly columns: readonly string[]
  /** Columns after these that rows are looked up by and sorted by, in the order of their bytes. */
  readonly sorted: readonly string[]
}

/** As the migration makes them in a database of this program. */
const definitions: readonly Definition[] = [
  { name: 'integration_workspace_name_idx', table: 'workspaces', columns: [], sorted: ['name', 'id'] },
  { name: 'integration_workspace_idx', table: 'integrations', columns: ['workspace_id'], sorted: ['name', 'id'] },
  { name: 'integration_name_idx', table: 'integrations', columns: [], sorted: ['name', 'id'] },
  { name: 'integration_id_idx', table: 'integrations', columns: [], sorted: ['id'] },
  { name: 'integration_team_idx', table: 'integrations', columns: ['slack_team_id', 'platform', 'id'], sorted: [] },
  { name: 'integration_creator_idx', table: 'integrations', columns: ['created_by'], sorted: [] },
]

/** An index that a database should have, and how it stands there. */
export interface ApplicationIndex {
  readonly name: string
  readonly table: string
  /**
   * `present`: there, perhaps by another name; `invalid`: what was left of a `db index --create` that was interrupted;
   * `building`: another process is making it; `taken`: its name is that of an index with other columns, or in another order.
   */
  readonly state: 'present' | 'missing' | 'invalid' | 'building' | 'taken'
  /** The SQL that makes it. */
  readonly statement: string
}

/** An index that is there. */
interface Found {
  readonly table: string
  readonly name: string
  readonly isValid: boolean | number
  readonly isBuilding: boolean | number
  /** JSON: of each column in order, its name, and whether its order is that of bytes, and that of the column. */
  readonly keys: string | null
}

/** Reads how the indexes stand that this program looks things up by; those of tables that are views are left out. */
export async function readIndexes(db: Statements, { provider, dialect }: Driver): Promise<ApplicationIndex[]> {
  const tables = await db.query<{ table: string }>({ table: sql`q."table"` }, sql`FROM (${tablesOf(provider)}) q`)
  const found = await db.queryAll<Found>(
    {
      table: sql`q."table"`,
      name: sql`q.name`,
      isValid: sql`(q."isValid")`,
      isBuilding: sql`(q."isBuilding")`,
      keys: sql`(q.keys)`,
    },
    sql`FROM (${(provider === 'sqlite' ? sqliteIndexes : postgresqlIndexes)(dialect)}) q`,
  )
  const taken = await db.query<{ name: string }>({ name: sql`q.name` }, sql`FROM (${takenNames(provider)}) q`)
  const isTaken = ({ name }: Definition) => taken.some((one) => one.name === name)
  // Those of an application may be named anything.
  const readable = found.filter(({ damage }) => !damage)
  return definitions
    .filter(({ table }) => tables.some((one) => one.table === table))
    .map((definition) => {
      const { name, table } = definition
      const state = stateOf(definition, readable, isTaken(definition))
      const statement = statementOf(definition, provider)
      return {
        name,
        table,
        state,
        // What is left has the name.
        statement: state === 'invalid' ? `DROP INDEX ${identifier(name)}; ${statement}` : statement,
      }
    })
}

/** Those that are not there, as far as this process can tell. */
export const missingOf = (indexes: readonly ApplicationIndex[]): ApplicationIndex[] =>
  indexes.filter(({ state }) => state !== 'present')

function stateOf(definition: Definition, found: readonly Found[], isTaken: boolean): ApplicationIndex['state'] {
  const { name, table } = definition
  if (found.some((one) => one.table === table && one.isValid && serves(definition, one))) return 'present'
  const own = found.find((one) => one.name === name && !one.isValid)
  if (own) return own.isBuilding ? 'building' : 'invalid'
  return isTaken ? 'taken' : 'missing'
}

/** Whether an index begins with the columns of another, in their order. */
function serves({ columns, sorted }: Definition, { keys }: Found): boolean {
  const held = JSON.parse(keys ?? '[]') as [column: string, byBytes: boolean | number, asColumn: boolean | number][]
  return [...columns, ...sorted].every((column, i) => {
    const [name, byBytes, asColumn] = held[i] ?? []
    return name === column && Boolean(i < columns.length ? asColumn : byBytes)
  })
}

function statementOf(
  { name, table, columns, sorted }: Definition,
  provider: Provider,
  { schema, concurrently = false }: { readonly schema?: string; readonly concurrently?: boolean } = {},
): string {
  const byBytes = provider === 'sqlite' ? ' COLLATE BINARY' : ' COLLATE "C"'
  const keys = [...columns.map(identifier), ...sorted.map((column) => `${identifier(column)}${byBytes}`)]
  const where = schema === undefined ? identifier(table) : `${identifier(schema)}.${identifier(table)}`
  return `CREATE INDEX ${concurrently ? 'CONCURRENTLY ' : ''}${identifier(name)} ON ${where} (${keys.join(', ')})`
}

const dropOf = ({ name }: Definition, schema = 'public') =>
  `DROP INDEX CONCURRENTLY ${identifier(schema)}.${identifier(name)}`

const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`

/**
 * Makes the indexes that a database lacks, one after the other, each outside any transaction; on PostgreSQL other changes
 * go on meanwhile. One that is invalid is made again.
 *
 * @returns those that were made
 * @throws NOT_PERMITTED when the role does not own a table, CONFLICT for a partitioned table, when another process is making one and, after the
 *   others were made, when the name of one is taken; and as `listIndexes`
 */
export async function createIndexes(options: StoreOptions): Promise<ApplicationIndex[]> {
  refuseReadOnly(options)
  const { database, notice } = options
  return withReady(options, async (driver, session) => {
    const made: ApplicationIndex[] = []
    const taken: string[] = []
    for (const definition of definitions)
      await session.retrying(async () => {
        const index = (await session.read((db) => readIndexes(db, driver))).find(({ name }) => name === definition.name)
        if (!index || index.state === 'present') return
        if (index.state === 'taken') return void taken.push(index.name)
        await session.read((db) => requireIndexable(db, driver, index))
        if (index.state === 'building')
          throw conflict(`another process is making the index ${index.name}`, commandOn(database, 'db index'))
        const place = database.provider === 'sqlite' ? {} : { schema: database.schema, concurrently: true }
        if (index.state === 'invalid') await driver.executeAlone(dropOf(definition, place.schema))
        await driver.executeAlone(statementOf(definition, driver.provider, place))
        notice(`made the index ${index.name}`)
        made.push({ ...index, state: 'present' })
      })
    const [first] = taken
    if (first !== undefined)
      throw conflict(
        `the index ${first} is there, but with other columns or in another order`,
        `drop or rename ${taken.join(' and ')}, then run ${commandOn(database, 'db index --create')}`,
      )
    return made
  })
}

/**
 * Reads how the indexes stand that this program looks things up by in a database.
 *
 * @throws DATABASE_OUTDATED, DATABASE_TOO_NEW, NOT_PERMITTED for a file that others can read
 */
export const listIndexes = (options: StoreOptions): Promise<ApplicationIndex[]> =>
  withReady(options, (driver, session) => session.read((db) => readIndexes(db, driver)))

/** Works on a database whose tables are those of this program. No work shortens the time of the next. */
function withReady<T>(options: StoreOptions, work: (driver: Driver, session: Session) => Promise<T>): Promise<T> {
  const requirePrivate = fileCheck(options)
  return withDatabase({ ...options, waitBudget: undefined }, async (driver, session) => {
    const state = await session.read(readState(driver))
    const refusal = refusalFor(options.database, state)
    if (refusal) throw refusal
    requirePrivate(state)
    return work(driver, session)
  })
}

/** Refuses what the database would refuse: only the owner of a table makes an index on it. @throws NOT_PERMITTED, CONFLICT for a partitioned table */
async function requireIndexable(
  db: Statements,
  { provider, dialect }: Driver,
  { table }: ApplicationIndex,
): Promise<void> {
  if (provider === 'sqlite') return
  const [row] = await db.query<{ role: string; owner: string; owns: boolean; partitioned: boolean }>(
    {
      role: dialect.role,
      owner: sql`pg_get_userbyid(c.relowner)::text`,
      owns: sql`pg_has_role(c.relowner, 'USAGE')`,
      partitioned: sql`(c.relkind = 'p')`,
    },
    sql`FROM pg_class c WHERE c.oid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(${table}))`,
  )
  if (row?.partitioned)
    throw conflict(
      `the table ${table} is partitioned, and PostgreSQL makes no index on such a table while others change it`,
      'add the statements of integrations db index to the migrations of the application',
    )
  if (row && !row.owns)
    throw new IntegrationsError({
      code: 'NOT_PERMITTED',
      message: `the table ${table} belongs to the role ${quoted(row.owner)}, and ${quoted(row.role)} may make no index on it`,
      hint: `run integrations db index --create as ${quoted(row.owner)}, or add the statements of integrations db index to the migrations of the application`,
    })
}

const tableNames = join([...new Set(definitions.map(({ table }) => table))])

const tablesOf = (provider: Provider): Sql =>
  provider === 'sqlite'
    ? sql`SELECT lower(m.name) AS "table", m.name FROM sqlite_master m WHERE m.type = 'table' AND lower(m.name) IN (${tableNames})`
    : sql`SELECT c.relname::text AS "table", c.oid FROM pg_class c
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relname IN (${tableNames})`

const indexNames = join(definitions.map(({ name }) => name))

/** Those of our names that an index has, or a table or view, which no index can be named as. */
const takenNames = (provider: Provider): Sql =>
  provider === 'sqlite'
    ? sql`SELECT lower(m.name) AS name FROM sqlite_master m WHERE m.type <> 'trigger' AND lower(m.name) IN (${indexNames})`
    : sql`SELECT c.relname::text AS name FROM pg_class c
        WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relname IN (${indexNames})`

const sqliteIndexes = ({ jsonRows }: Dialect): Sql => {
  const keys = sql`(SELECT CASE WHEN NOT x."desc" THEN x.name END AS name, x.coll FROM pragma_index_xinfo(l.name) x WHERE x.key ORDER BY x.seqno) k`
  return sql`SELECT t."table", l.name, 1 AS "isValid", 0 AS "isBuilding", ${jsonRows([sql`lower(k.name)`, sql`(k.coll = 'BINARY')`, sql`(1)`], keys)} AS keys
    FROM (${tablesOf('sqlite')}) t JOIN pragma_index_list(t.name) l WHERE NOT l.partial`
}

const postgresqlIndexes = ({ jsonRows }: Dialect): Sql => {
  const keys = sql`(SELECT a.attname::text AS name, o.collname = 'C' AS "byBytes", i.indcollation[n] = a.attcollation AS "asColumn"
    FROM generate_series(0, i.indnkeyatts - 1) n LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n] AND i.indoption[n] = 0
    LEFT JOIN pg_collation o ON o.oid = i.indcollation[n] ORDER BY n) k`
  return sql`SELECT t."table", c.relname::text AS name, i.indisvalid AS "isValid",
      EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AS "isBuilding",
      ${jsonRows([sql`k.name`, sql`(k."byBytes")`, sql`(k."asColumn")`], keys)} AS keys
    FROM (${tablesOf('postgresql')}) t JOIN pg_index i ON i.indrelid = t.oid AND i.indpred IS NULL
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'`
}
