import { setImmediate as turn } from 'node:timers/promises'
import type { ArgType, SqlQueryable } from '@prisma/driver-adapter-utils'
import sql, { type Sql } from 'sql-template-tag'
import { type Damageable, refuseDamaged } from '../../damage.ts'
import { RowsTooLong } from '../../errors.ts'
import { firstRows, nextRows, rowsOf, rowsOfJson, rowsPerPage } from './cells.ts'
import type { Models } from './models.ts'
import type { Provider } from './url.ts'

/**
 * What a query selects, by the names of a row's fields. A column as it is, as in `i.name`, has to be one of texts; other
 * values are made by what a dialect offers.
 */
export type Columns<Row> = { readonly [Name in Exclude<keyof Row, 'damage'> & string]-?: Sql }

/** Makes a query for columns, and what follows them. */
export type Select = (columns: readonly (readonly [name: string, value: Sql])[], rest: Sql) => Sql

/** Some rows of a query, from the first on. */
export interface Part<Row> {
  readonly rows: (Row & Damageable)[]
  /** Above 0 when rows follow that the statement has found; how far above is a measure of its own. */
  readonly after: number
}

/** What SQL can be run on: a connection or a transaction. Nothing that a database may hold ends the process. */
export interface Statements {
  /** Set where each statement is a transaction of its own, so that nothing can be kept for the next. */
  readonly single?: boolean
  /**
   * Reads rows.
   *
   * @param rest what follows the columns, from FROM on
   * @throws DATABASE_INVALID for a cell that cannot be read, with its column and its row; `RowsTooLong`
   */
  query<Row extends object>(columns: Columns<Row>, rest: Sql): Promise<Row[]>
  /** Reads rows, those included that have cells that cannot be read, and say so. @throws RowsTooLong */
  queryAll<Row extends object>(columns: Columns<Row>, rest: Sql): Promise<(Row & Damageable)[]>
  /** Reads as many rows as a page has, one at least where there is one. */
  queryPage<Row extends object>(columns: Columns<Row>, rest: Sql): Promise<Part<Row>>
  /**
   * Reads rows that may be too long for one answer, a page at a time: all of them where nothing changes meanwhile, as in a
   * transaction.
   *
   * @param rest ends with what orders them
   * @param first how many the first page may have; SQLite reads those that do not fit, too
   */
  queryInPages<Row extends object>(columns: Columns<Row>, rest: Sql, first?: number): Promise<(Row & Damageable)[]>
  /** The rows of a whole statement that gives them as `Dialect.select` or `selectPage` has them. */
  fetch<Row extends object>(columns: Columns<Row>, statement: Sql): Promise<Part<Row>>
  /** Whether a query, from FROM on, has any row. */
  some(rest: Sql): Promise<boolean>
  /** @returns how many rows were changed */
  execute(sql: Sql): Promise<number>
}

/** A transaction that changes something: SQL, and Prisma's models, whose types guard what is written. */
export interface WritableStatements extends Statements {
  /** For writing alone: what a model's call reads may end the process. */
  models(): Promise<Models>
}

/** What statements run on, in the words of its database. */
interface Speaker {
  readonly provider: Provider
  readonly dialect: { readonly select: Select; readonly selectPage: Select }
}

/** The rows of a statement as arrays of cells. */
type ReadCells = (statement: Sql) => Promise<readonly (readonly unknown[])[]>

function reading({ provider, dialect }: Speaker, readCells: ReadCells): Omit<Statements, 'execute'> {
  async function fetch<Row extends object>(columns: Columns<Row>, statement: Sql): Promise<Part<Row>> {
    const names = Object.keys(columns)
    if (provider === 'postgresql') {
      const rows = await readCells(statement)
      return { rows: rowsOf(names, rows, false), after: Number(rows.at(-1)?.[names.length] ?? 0) }
    }
    const [[json, after] = []] = await readCells(statement)
    return { rows: json ? rowsOfJson(names, json as Uint8Array) : [], after: Number(after ?? 0) }
  }
  const queryAll: Statements['queryAll'] = async (columns, rest) => {
    const { rows, after } = await fetch(columns, dialect.select(Object.entries(columns), rest))
    if (after > 0) throw new RowsTooLong()
    return rows
  }
  const queryPage: Statements['queryPage'] = async (columns, rest) => {
    // libsql frees what it has prepared when the event loop turns, which it would not do between pages of SQLite.
    await turn()
    return fetch(columns, dialect.selectPage(Object.entries(columns), rest))
  }
  return {
    fetch,
    queryAll,
    queryPage,
    async queryInPages<Row extends object>(columns: Columns<Row>, rest: Sql, first = firstRows) {
      const rows: (Row & Damageable)[] = []
      for (let size = first; ; ) {
        const page = await queryPage(columns, sql`${rest} LIMIT ${size} OFFSET ${rows.length}`)
        rows.push(...page.rows)
        if (page.after === 0 && page.rows.length < size) return rows
        size = nextRows(page, rowsPerPage)
      }
    },
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

function argType(value: unknown): ArgType {
  if (Array.isArray(value)) return { scalarType: 'string', arity: 'list' }
  if (value instanceof Date) return { scalarType: 'datetime', arity: 'scalar' }
  return {
    scalarType: typeof value === 'number' ? 'int' : typeof value === 'boolean' ? 'boolean' : 'string',
    arity: 'scalar',
  }
}
