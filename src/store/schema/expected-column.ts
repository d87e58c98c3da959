import type { Provider } from '../database/url.ts'
import type { CatalogueColumn } from './catalogue.ts'

/** A column of an application's tables, as this program needs it. */
export interface ExpectedColumn {
  readonly type: 'text' | 'timestamp' | 'boolean' | 'jsonb'
  /** How many characters a text may have at least. */
  readonly atLeast?: number
  /** A type of its own may list the platforms. */
  readonly isPlatform?: true
  readonly nullable?: true
  /** This program never writes null into it. */
  readonly neverNull?: true
  /** Where nothing is to be in it, this program has the database put in the default. */
  readonly clearedToDefault?: true
  /** This program always writes a value, or takes the default. */
  readonly anyDefault?: true
  /** A column of another table. */
  readonly references?: string
}

/** What is different in a column, and what cannot be done for it. */
export interface ColumnDifference {
  readonly text: string
  readonly hinders: 'adopting' | 'changing' | 'reading'
}

/** What the databases call the types: on SQLite, those that our own first migration makes. */
const typeNames: Record<Provider, Record<ExpectedColumn['type'], string>> = {
  postgresql: { text: 'text', timestamp: 'timestamp without time zone', boolean: 'boolean', jsonb: 'jsonb' },
  sqlite: { text: 'TEXT', timestamp: 'DATETIME', boolean: 'BOOLEAN', jsonb: 'JSONB' },
}

/** Categories and types of PostgreSQL that work. */
const works: Record<ExpectedColumn['type'], RegExp> = {
  text: /^S (text|character varying(\(\d+\))?|(.+\.)?citext)$/,
  timestamp: /^D timestamp(\(\d\))? with(out)? time zone$/,
  boolean: /^B boolean$/,
  jsonb: /^U jsonb$/,
}

/** Those that can be read, though not each can hold all that is written. */
const readable: Record<ExpectedColumn['type'], RegExp> = {
  text: /^[SE]/,
  timestamp: /^D (timestamp|date)/,
  boolean: /^B/,
  jsonb: /^(U jsonb?$|S)/,
}

/** As good as text, but for what a foreign key of ours refers to. Its schema is named where it is not looked into. */
const citext = /^(.+\.)?citext$/

interface Compared {
  readonly column: ExpectedColumn
  readonly actual: CatalogueColumn
  /** The ids of the platforms. */
  readonly platforms: readonly string[]
}

/** Compares a column with what is expected. @param where its name, after that of its table */
export function* columnDifferences(
  where: string,
  { column, actual, platforms }: Compared,
  provider: Provider,
): Generator<ColumnDifference> {
  const expected = typeNames[provider][column.type]
  const found = actual.type === actual.base ? actual.type || 'none' : `${actual.type} (${actual.base})`
  const hinders =
    provider === 'sqlite' ? hinderedOnSqlite(column, actual) : hinderedOnPostgresql(where, { column, actual })
  if (hinders) yield { text: `the type of ${where} is ${found}, not ${expected}`, hinders }
  else {
    const length = Number(/^character varying\((\d+)\)$/.exec(actual.base)?.[1])
    if (column.atLeast !== undefined && length < column.atLeast)
      yield {
        text: `the type of ${where} is ${found}, which is too short: at least ${column.atLeast} characters`,
        hinders: 'changing',
      }
    const lacking = actual.labels ? platforms.filter((platform) => !actual.labels?.includes(platform)) : []
    if (lacking.length > 0)
      yield {
        text: `the type of ${where} is ${found}, which lacks the values ${lacking.join(', ')}`,
        hinders: 'changing',
      }
  }
  if (actual.isGenerated) yield { text: `the database generates ${where}`, hinders: 'changing' }
  if (actual.nullable && !column.nullable) yield { text: `${where} may be null`, hinders: 'adopting' }
  if (!actual.nullable && column.nullable && !column.neverNull) {
    // SQLite cannot be told to put in a default.
    const isFilled = column.clearedToDefault && actual.default !== null && provider === 'postgresql'
    if (!isFilled) yield { text: `${where} may not be null`, hinders: 'changing' }
  }
}

/** What cannot be done for the type of a column; undefined when all can. */
function hinderedOnPostgresql(
  where: string,
  { column, actual: { base, category, labels } }: Pick<Compared, 'column' | 'actual'>,
): ColumnDifference['hinders'] | undefined {
  if (column.isPlatform && labels) return undefined
  const kind = `${category} ${base}`
  if (works[column.type].test(kind)) return citext.test(base) && where.endsWith('.id') ? 'adopting' : undefined
  return readable[column.type].test(kind) ? 'changing' : 'reading'
}

/**
 * The same for SQLite, which takes any value for any type, unless it converts it to what the name of the type asks for, or
 * the table is strict. Instants and JSON are texts here, and true and false are numbers.
 */
function hinderedOnSqlite(
  { type }: ExpectedColumn,
  { type: name, category }: CatalogueColumn,
): ColumnDifference['hinders'] | undefined {
  const isInteger = /INT/i.test(name)
  if (category === 'strict')
    return (type === 'boolean' ? isInteger : /^TEXT$/i.test(name)) || /^ANY$/i.test(name) ? undefined : 'changing'
  const isText = !isInteger && /CHAR|CLOB|TEXT/i.test(name)
  const isAsGiven = !isInteger && !isText && (name === '' || /BLOB/i.test(name))
  switch (type) {
    case 'text':
      return isText || isAsGiven ? undefined : 'changing'
    case 'boolean':
      return isText ? 'changing' : undefined
    case 'timestamp':
      // An application may have seconds or days in it.
      return isInteger || /REAL|FLOA|DOUB/i.test(name) ? 'adopting' : undefined
    case 'jsonb':
      // SQLite's own binary form is none of text.
      return isInteger || isAsGiven ? 'adopting' : undefined
  }
}

/** What hinders adopting in the default of a column that this program inserts into. */
export function* defaultDifferences(where: string, column: ExpectedColumn, actual: CatalogueColumn): Generator<string> {
  if (actual.isGenerated || column.anyDefault || actual.default === null) return
  yield `the default of ${where} is ${actual.default}, not none`
}
