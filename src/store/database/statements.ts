import type { ArgType, SqlQueryable } from '@prisma/driver-adapter-utils'
import sql, { type Sql } from 'sql-template-tag'
import { type Damageable, refuseDamaged } from '../../damage.ts'
import type { Prisma } from '../generated/sqlite/client.ts'
import { rowsOf, rowsOfPage } from './cells.ts'
import type { Provider } from './url.ts'

/**
 * What a query selects, by the names of a row's fields. A column as it is, as in `i.name`, has to be one of texts; other
 * values are made by what a dialect offers.
 */
export type Columns<Row> = { readonly [Name in Exclude<keyof Row, 'damage'> & string]-?: Sql }

/** What SQL can be run on: a connection or a transaction. Nothing that a database may hold ends the process. */
export interface Statements {
  /** Set where each statement is a transaction of its own, so that nothing can be kept for the next. */
  readonly single?: boolean
  /**
   * Reads rows.
   *
   * @param rest what follows the columns, from FROM on
   * @throws DATABASE_INVALID for a cell that cannot be read, with its column and its row
   */
  query<Row extends object>(columns: Columns<Row>, rest: Sql): Promise<Row[]>
  /** Reads rows, those included that have cells that cannot be read, and say so. */
  queryAll<Row extends object>(columns: Columns<Row>, rest: Sql): Promise<(Row & Damageable)[]>
  /** The rows of a whole statement that gives them as `Dialect.select` has them. */
  fetch<Row extends object>(columns: Columns<Row>, statement: Sql): Promise<(Row & Damageable)[]>
  /** Whether a query, from FROM on, has any row. */
  some(rest: Sql): Promise<boolean>
  /** @returns how many rows were changed */
  execute(sql: Sql): Promise<number>
}

/** A transaction that changes something: SQL, and Prisma's models, whose types guard what is written. */
export interface WritableStatements extends Statements {
  /** For writing alone: what a model's call reads may end the process. */
  readonly models: Prisma.TransactionClient
}

/** What statements run on, in the words of its database. */
interface Speaker {
  readonly provider: Provider
  readonly dialect: { select(columns: readonly (readonly [name: string, value: Sql])[], rest: Sql): Sql }
}

/** The rows of a statement as arrays of the cells with these names. */
type ReadCells = (statement: Sql, names: readonly string[]) => Promise<readonly (readonly unknown[])[]>

function reading({ provider, dialect }: Speaker, readCells: ReadCells): Omit<Statements, 'execute'> {
  async function fetch<Row extends object>(columns: Columns<Row>, statement: Sql): Promise<(Row & Damageable)[]> {
    const names = Object.keys(columns)
    if (provider === 'postgresql') return rowsOf(names, await readCells(statement, names), false)
    const [[page] = []] = await readCells(statement, ['page'])
    return rowsOfPage(names, page as Uint8Array)
  }
  const queryAll: Statements['queryAll'] = (columns, rest) =>
    fetch(columns, dialect.select(Object.entries(columns), rest))
  return {
    fetch,
    queryAll,
    query: async (columns, rest) => refuseDamaged(await queryAll(columns, rest)),
    some: async (rest) => (await queryAll<{ one: number }>({ one: sql`1` }, rest)).length > 0,
  }
}

/**
 * Statements straight on Prisma's driver adapter. Prisma's query compiler has no part in SQL, and takes longer to start
 * than most reads do.
 */
export function onAdapter(adapter: SqlQueryable, speaker: Speaker, single = false): Statements {
  const prepared = (statement: Sql) => ({
    sql: speaker.provider === 'sqlite' ? statement.sql : statement.text,
    args: statement.values,
    argTypes: statement.values.map(argType),
  })
  return {
    single,
    ...reading(speaker, async (statement) => (await adapter.queryRaw(prepared(statement))).rows),
    execute: (statement) => adapter.executeRaw(prepared(statement)),
  }
}

/** Statements within a transaction of Prisma's client. */
export const onPrisma = (models: Prisma.TransactionClient, speaker: Speaker): WritableStatements => ({
  models,
  ...reading(speaker, async (statement, names) => {
    const rows = await models.$queryRaw<{ readonly [name: string]: unknown }[]>(statement as Prisma.Sql)
    return rows.map((row) => names.map((name) => row[name]))
  }),
  execute: (statement) => models.$executeRaw(statement as Prisma.Sql),
})

function argType(value: unknown): ArgType {
  if (Array.isArray(value)) return { scalarType: 'string', arity: 'list' }
  if (value instanceof Date) return { scalarType: 'datetime', arity: 'scalar' }
  return {
    scalarType: typeof value === 'number' ? 'int' : typeof value === 'boolean' ? 'boolean' : 'string',
    arity: 'scalar',
  }
}
