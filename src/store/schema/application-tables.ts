import { databaseInvalid, type IntegrationsError } from '../../errors.ts'
import type { Statements } from '../database/statements.ts'
import { commandOn, type Database, displayUrl, type Provider } from '../database/url.ts'
import { ownTables } from '../migrations.ts'
import { type CatalogueTable, readCatalogue } from './catalogue.ts'
import { columnDifferences, defaultDifferences, type ExpectedColumn } from './expected-column.ts'

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

/** What tables are compared with, besides what they are all to have. */
export interface Needs {
  readonly provider: Provider
  /** The ids of the platforms. */
  readonly platforms: readonly string[]
}

/** Compares the tables of an application with what this program expects. */
export async function readDifferences(db: Statements, needs: Needs, sharing: Sharing): Promise<TableDifference[]> {
  const { provider } = needs
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
        needs,
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
  (needs: Needs, database: Database) =>
  async (db: Statements, sharing: Sharing): Promise<IntegrationsError | undefined> => {
    const found = (await readDifferences(db, needs, sharing)).filter(isHindrance)
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

const atLeast = (atLeast: number): ExpectedColumn => ({ type: 'text', atLeast })
const optional = (column: ExpectedColumn): ExpectedColumn => ({ ...column, nullable: true })
const timestamp: ExpectedColumn = { type: 'timestamp' }

/** An id that this program makes, and one of a platform: a UUID at most. */
const idLength = 36
/** The name of a platform. */
const platformLength = 20
/** A name that people give. */
const nameLength = 50
/** A webhook secret of 64 characters, encrypted. */
const secretLength = 255
/** A token of 640 characters, encrypted: those of GitHub have 520. */
const tokenLength = 1024
/** The id of a team or a user of Slack, with room to grow. */
const slackIdLength = 20
/** What an address may have. */
const emailLength = 254

/** The application's tables, as far as this program knows them. All have the primary key `id`. */
const expected: { readonly [table: string]: { readonly [column: string]: ExpectedColumn } } = {
  workspaces: { id: atLeast(idLength), name: atLeast(nameLength), created_at: timestamp, updated_at: timestamp },
  users: {
    id: atLeast(idLength),
    email: atLeast(emailLength),
    name: optional(atLeast(nameLength)),
    created_at: timestamp,
    updated_at: timestamp,
  },
  integrations: {
    id: { ...atLeast(idLength), anyDefault: true },
    // Its values are those of workspaces.id, whatever these are.
    workspace_id: { type: 'text', anyDefault: true, references: 'workspaces.id' },
    platform: { ...atLeast(platformLength), isPlatform: true, anyDefault: true },
    name: { ...atLeast(nameLength), anyDefault: true },
    webhook_secret: optional(atLeast(secretLength)),
    access_token: optional(atLeast(tokenLength)),
    refresh_token: optional(atLeast(tokenLength)),
    token_expires_at: optional(timestamp),
    slack_team_id: optional(atLeast(slackIdLength)),
    slack_team_name: optional(atLeast(nameLength)),
    slack_bot_user_id: optional(atLeast(slackIdLength)),
    pylon_account_id: optional(atLeast(idLength)),
    is_active: { type: 'boolean', nullable: true, neverNull: true, anyDefault: true },
    config: { type: 'jsonb', nullable: true, clearedToDefault: true, anyDefault: true },
    last_used_at: optional(timestamp),
    created_at: { type: 'timestamp', anyDefault: true },
    created_by: { type: 'text', nullable: true, references: 'users.id' },
  },
}

/** Their names. */
export const applicationTables = Object.keys(expected)

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
  { provider, platforms }: Needs,
): Generator<Difference> {
  const isShared = table === insertedInto
  const isWritten = isShared || sharing === 'own'
  if (found.isView) {
    if (isWritten && !found.isUpdatable) yield { text: `${table} is a view that takes no changes`, hinders: 'changing' }
    else if (provider === 'sqlite') yield adopting(`${table} is a view, not a table`)
    // A trigger sees a row as it was before the application's change, and puts it back.
    else if (isShared && found.needsTriggers) yield adopting(`${table} is a view that only triggers can change`)
  } else if (found.primaryKey !== 'id')
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
    const { atLeast, ...read } = column
    const needed = isWritten ? column : read
    for (const difference of columnDifferences(where, { column: needed, actual: compared, platforms }, provider))
      yield {
        ...(isWritten || difference.hinders === 'reading' ? difference : adopting(difference.text)),
        column: name,
      }
    if (isShared && !found.isView) {
      for (const text of defaultDifferences(where, column, actual)) yield adopting(text)
      const to = found.references.get(name)
      if (to !== column.references)
        yield adopting(`${where} references ${to ?? 'nothing'}, not ${column.references ?? 'nothing'}`)
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
