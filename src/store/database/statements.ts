import type { ArgType, SqlQueryable } from '@prisma/driver-adapter-utils'
import type { Sql } from 'sql-template-tag'
import type { Prisma } from '../generated/sqlite/client.ts'
import type { Provider } from './url.ts'

/** What SQL can be run on: a connection or a transaction. Values come as the driver gives them. */
export interface Statements {
  query<Row>(sql: Sql): Promise<Row[]>
  /** @returns how many rows were changed */
  execute(sql: Sql): Promise<number>
}

/** A transaction that changes something: SQL, and Prisma's models, whose types guard what is written. */
export interface WritableStatements extends Statements {
  readonly models: Prisma.TransactionClient
}

/**
 * Statements straight on Prisma's driver adapter. Prisma's query compiler has no part in SQL, and takes longer to start
 * than most reads do.
 */
export function onAdapter(adapter: SqlQueryable, provider: Provider): Statements {
  const prepared = (sql: Sql) => ({
    sql: provider === 'sqlite' ? sql.sql : sql.text,
    args: sql.values,
    argTypes: sql.values.map(argType),
  })
  return {
    async query<Row>(sql: Sql) {
      const { columnNames, rows } = await adapter.queryRaw(prepared(sql))
      return rows.map((row) => {
        const object: Record<string, unknown> = {}
        for (let i = 0; i < columnNames.length; i++) object[columnNames[i] as string] = row[i]
        return object as Row
      })
    },
    execute: (sql) => adapter.executeRaw(prepared(sql)),
  }
}

/** Statements within a transaction of Prisma's client. */
export const onPrisma = (models: Prisma.TransactionClient): WritableStatements => ({
  models,
  query: (sql) => models.$queryRaw(sql as Prisma.Sql),
  execute: (sql) => models.$executeRaw(sql as Prisma.Sql),
})

function argType(value: unknown): ArgType {
  if (Array.isArray(value)) return { scalarType: 'string', arity: 'list' }
  if (value instanceof Date) return { scalarType: 'datetime', arity: 'scalar' }
  return {
    scalarType: typeof value === 'number' ? 'int' : typeof value === 'boolean' ? 'boolean' : 'string',
    arity: 'scalar',
  }
}
