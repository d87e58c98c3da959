import { databaseInvalid, type IntegrationsError } from '../../errors.ts'
import type { Driver } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import { commandOn, type Database, displayUrl, type Provider } from '../database/url.ts'
import { ownTables } from '../migrations.ts'
import { type CatalogueColumn, type CatalogueTable, readCatalogue } from './catalogue.ts'

/** What is different in a table from what this program shares with an application. */
export interface TableDifference {
  readonly table: string
  /** Null where it is of the whole table. */
  readonly column: string | null
  /** A sentence, with the name of the column. */
  readonly text: string
  /**
   * What cannot be done for it: the database cannot be adopted, some changes fail, or reading the table fails; `nothing`:
   * no integration can be added, unless a trigger does its part.
   */
  readonly hinders: 'adopting' | 'changing' | 'reading' | 'nothing'
}

/** Differences as one text, numbered. */
export const listed = (found: readonly TableDifference[]): string =>
  found.map(({ text }, i) => `(${i + 1}) ${text}`).join('; ')

/** Whose the tables are: an application's that were not adopted, where none of this program's may be; an application's that were adopted; or this program's own. */
export type Sharing = 'unmanaged' | 'adopted' | 'own'

/** Whose the tables of a ready database are. */
export const sharingOf = ({ adopted }: { readonly adopted: boolean }): Sharing => (adopted ? 'adopted' : 'own')

const missing = (table: string): TableDifference => ({
  table,
  column: null,
  text: `the table ${table} is missing`,
  hinders: 'reading',
})

/** Compares the tables of an application with what this program expects. */
export async function readDifferences(
  db: Statements,
  provider: Provider,
  sharing: Sharing,
): Promise<TableDifference[]> {
  const own = ownTables(provider)
  const found = await readCatalogue(db, provider, [...applicationTables, ...own])
  const list: TableDifference[] = []
  for (const [table, columns] of Object.entries(expected)) {
    const actual = found.get(table)
    if (!actual) list.push(missing(table))
    else
      for (const { column = null, text, hinders } of tableDifferences(
        table,
        { columns, found: actual, sharing },
        provider,
      ))
        list.push({ table, column, text, hinders })
  }
  for (const table of own) {
    if (found.has(table) && sharing === 'unmanaged')
      list.push({
        table,
        column: null,
        text: `the table ${table}, which this program would make, exists already`,
        hinders: 'adopting',
      })
    if (!found.has(table) && sharing !== 'unmanaged') list.push(missing(table))
  }
  return list
}

/** The error for tables that were changed; undefined when all that this program does can be done with them. */
export const compareTables =
  ({ provider }: Pick<Driver, 'provider'>, database: Database) =>
  async (db: Statements, sharing: Sharing): Promise<IntegrationsError | undefined> => {
    const found = (await readDifferences(db, provider, sharing)).filter(isHindrance)
    return found.length === 0 ? undefined : tablesChanged(database, found)
  }

/** Whether something cannot be done in a database that is shared already. */
export const isHindrance = ({ hinders }: TableDifference): boolean => hinders === 'changing' || hinders === 'reading'

/** Tables were changed so that something cannot be done: exit 6. */
export const tablesChanged = (database: Database, found: readonly TableDifference[]): IntegrationsError =>
  databaseInvalid(
    `the tables of ${displayUrl(database)} differ from what this program needs: ${found.length === 1 ? found[0]?.text : listed(found)}`,
    `change these tables back, then ${commandOn(database, 'db status')}`,
  )

interface ExpectedColumn {
  readonly type: 'text' | 'timestamp' | 'boolean' | 'jsonb'
  readonly nullable?: true
  /** This program never writes null into it. */
  readonly neverNull?: true
  readonly default?: 'now' | 'true'
  readonly references?: { readonly to: string; readonly onDelete: string }
}

const text: ExpectedColumn = { type: 'text' }
const optionalText: ExpectedColumn = { type: 'text', nullable: true }
const timestamp: ExpectedColumn = { type: 'timestamp' }
const optionalTimestamp: ExpectedColumn = { type: 'timestamp', nullable: true }

/** The application's tables, as far as this program knows them. All have the primary key `id`. */
const expected: { readonly [table: string]: { readonly [column: string]: ExpectedColumn } } = {
  workspaces: { id: text, name: text, created_at: timestamp, updated_at: timestamp },
  users: { id: text, email: text, name: optionalText, created_at: timestamp, updated_at: timestamp },
  integrations: {
    id: text,
    workspace_id: { type: 'text', references: { to: 'workspaces.id', onDelete: 'cascade' } },
    platform: text,
    name: text,
    webhook_secret: optionalText,
    access_token: optionalText,
    refresh_token: optionalText,
    token_expires_at: optionalTimestamp,
    slack_team_id: optionalText,
    slack_team_name: optionalText,
    slack_bot_user_id: optionalText,
    pylon_account_id: optionalText,
    is_active: { type: 'boolean', nullable: true, neverNull: true, default: 'true' },
    config: { type: 'jsonb', nullable: true },
    last_used_at: optionalTimestamp,
    created_at: { type: 'timestamp', default: 'now' },
    created_by: { type: 'text', nullable: true, references: { to: 'users.id', onDelete: 'set null' } },
  },
}

/** Their names. */
export const applicationTables = Object.keys(expected)

/** What the databases call the types: on SQLite, those that our own first migration makes. */
const typeNames: Record<Provider, Record<ExpectedColumn['type'], string>> = {
  postgresql: { text: 'text', timestamp: 'timestamp without time zone', boolean: 'boolean', jsonb: 'jsonb' },
  sqlite: { text: 'TEXT', timestamp: 'DATETIME', boolean: 'BOOLEAN', jsonb: 'JSONB' },
}

/** Categories and types of PostgreSQL that can be read, though not each can hold all that is written. */
const readable: Record<ExpectedColumn['type'], RegExp> = {
  text: /^S/,
  timestamp: /^D (timestamp|date)/,
  boolean: /^B/,
  jsonb: /^(U jsonb?$|S)/,
}

/** Those that work as well as the expected type. */
const asGood: Record<ExpectedColumn['type'], RegExp> = {
  text: /^S (text|character varying|(.+\.)?citext)$/,
  timestamp: /^D timestamp/,
  boolean: /^B boolean$/,
  jsonb: /^U jsonb$/,
}

/** How a database may write a default. */
const defaults = { now: ['CURRENT_TIMESTAMP', 'now()'], true: ['true', '1'] } as const

/** Rows are inserted here by this program; the other two tables it only reads in an adopted database. */
const insertedInto = 'integrations'

type Difference = Pick<TableDifference, 'text' | 'hinders'> & { readonly column?: string }

/** A difference that matters only before the tables are shared. */
const adopting = (text: string): Difference => ({ text, hinders: 'adopting' })

interface Comparison {
  readonly columns: { readonly [column: string]: ExpectedColumn }
  readonly found: CatalogueTable
  readonly sharing: Sharing
}

function* tableDifferences(
  table: string,
  { columns, found, sharing }: Comparison,
  provider: Provider,
): Generator<Difference> {
  const isShared = table === insertedInto
  const isWritten = isShared || sharing === 'own'
  if (found.isView)
    yield {
      text: `${table} is a view, not a table`,
      hinders: isWritten && !found.isUpdatable ? 'changing' : 'adopting',
    }
  else if (found.primaryKey !== 'id')
    yield adopting(`the primary key of ${table} is ${found.primaryKey || 'none'}, not id`)
  for (const [name, column] of Object.entries(columns)) {
    const where = `${table}.${name}`
    const actual = found.columns.get(name)
    if (!actual) {
      const like = [...found.columns.values()].find((one) => plain(one.name) === plain(name))
      const instead = like ? `; the table has "${like.name}"` : ''
      yield { column: name, text: `the column ${where} is missing${instead}`, hinders: 'reading' }
      continue
    }
    // A view does not tell what may be null.
    const compared = found.isView ? { ...actual, nullable: column.nullable ?? false } : actual
    for (const difference of columnDifferences(where, { column, actual: compared }, provider))
      yield {
        ...(isWritten || difference.hinders === 'reading' ? difference : adopting(difference.text)),
        column: name,
      }
    if (isShared && !found.isView) {
      for (const text of defaultDifferences(where, column, actual)) yield adopting(text)
      for (const text of referenceDifferences(where, column, found.references.get(name))) yield adopting(text)
    }
  }
  if (table === 'users' && !found.isView && found.columns.has('email') && !found.unique.has('email'))
    yield adopting('users.email is not unique')
  if (!isWritten) return
  for (const [name, column] of found.columns)
    if (!(name in columns) && !column.nullable && column.default === null)
      yield {
        text: `${table}.${column.name}, which this program does not know, is not null and has no default`,
        hinders: found.hasFiller ? 'nothing' : 'changing',
      }
}

/** A name as the tools of applications write it in their several ways. */
const plain = (name: string) => name.replaceAll('_', '').toLowerCase()

/** As good as text, but for what a foreign key of ours refers to. Its schema is named where it is not looked into. */
const citext = /^(.+\.)?citext$/

function* columnDifferences(
  where: string,
  { column, actual }: { readonly column: ExpectedColumn; readonly actual: CatalogueColumn },
  provider: Provider,
): Generator<Difference> {
  const type = typeNames[provider][column.type]
  const bare = provider === 'sqlite' ? actual.type.toUpperCase() : actual.base.replace(/^timestamp\(\d\)/, 'timestamp')
  const found = actual.type === actual.base ? actual.type || 'none' : `${actual.type} (${actual.base})`
  if (bare !== type && !(column.type === 'text' && citext.test(actual.base) && !where.endsWith('.id')))
    yield {
      text: `the type of ${where} is ${found}, not ${type}`,
      hinders: provider === 'sqlite' ? hinderedOnSqlite(column, actual) : hinderedOnPostgresql(column, actual),
    }
  if (actual.isGenerated) yield { text: `the database generates ${where}`, hinders: 'changing' }
  if (actual.nullable && !column.nullable) yield adopting(`${where} may be null`)
  if (!actual.nullable && column.nullable)
    yield { text: `${where} may not be null`, hinders: column.neverNull ? 'adopting' : 'changing' }
}

function hinderedOnPostgresql({ type }: ExpectedColumn, actual: CatalogueColumn): TableDifference['hinders'] {
  const kind = `${actual.category} ${actual.base}`
  if (asGood[type].test(kind)) return 'adopting'
  return readable[type].test(kind) ? 'changing' : 'reading'
}

/** SQLite takes any value for any type, unless it converts texts of digits to numbers or the table is strict. */
function hinderedOnSqlite(
  { type }: ExpectedColumn,
  { type: name, category }: CatalogueColumn,
): TableDifference['hinders'] {
  if (category === 'strict')
    return (type === 'boolean' ? /^(INT|INTEGER|ANY)$/i : /^(TEXT|ANY)$/i).test(name) ? 'adopting' : 'changing'
  const holdsTexts = !/INT/i.test(name) && (name === '' || /CHAR|CLOB|TEXT|BLOB/i.test(name))
  return type !== 'text' || holdsTexts ? 'adopting' : 'changing'
}

function* defaultDifferences(where: string, column: ExpectedColumn, actual: CatalogueColumn): Generator<string> {
  if (actual.isGenerated) return
  const accepted: readonly (string | null)[] = column.default === undefined ? [null] : defaults[column.default]
  if (!accepted.some((one) => one?.toLowerCase() === actual.default?.toLowerCase()))
    yield `the default of ${where} is ${actual.default ?? 'none'}, not ${accepted[0] ?? 'none'}`
}

function* referenceDifferences(
  where: string,
  { references }: ExpectedColumn,
  actual: { to: string; onDelete: string; onUpdate: string } | undefined,
): Generator<string> {
  if (actual?.to !== references?.to)
    yield `${where} references ${actual?.to ?? 'nothing'}, not ${references?.to ?? 'nothing'}`
  else if (actual && references) {
    if (actual.onDelete !== references.onDelete)
      yield `${where} has on delete ${actual.onDelete}, not ${references.onDelete}`
    if (actual.onUpdate !== 'no action') yield `${where} has on update ${actual.onUpdate}, not no action`
  }
}
