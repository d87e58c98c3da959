import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import pg from 'pg'
import { inject } from 'vitest'
import { freshFolder } from './cli.ts'

/** The two kinds of database; nearly everything is tested on both. */
export const kinds = ['sqlite', 'postgresql'] as const
/** A kind of database. */
export type Kind = (typeof kinds)[number]

/** A database of one test. */
export interface TestDatabase {
  readonly kind: Kind
  /** For DATABASE_URL. */
  readonly url: string
  /** Runs a statement and gives its rows; write `?` for a parameter. */
  query(statement: string, ...values: (string | number | boolean | null)[]): Promise<Record<string, unknown>[]>
}

let databases = 0

/** A database that has the tables and nothing in them. */
export async function freshDatabase(kind: Kind): Promise<TestDatabase> {
  if (kind === 'sqlite') {
    const file = join(freshFolder(), 'integrations.db')
    copyFileSync(inject('sqliteTemplate'), file)
    return sqliteDatabase(file)
  }
  return createPostgresql('TEMPLATE integrations_template')
}

/** A PostgreSQL database without any table. */
export const emptyPostgresql = (): Promise<TestDatabase> => createPostgresql('TEMPLATE template0')

/** An SQLite file, which need not exist yet. */
export function sqliteDatabase(file: string): TestDatabase {
  return {
    kind: 'sqlite',
    url: `file:${file}`,
    query: async (sql, ...args) => {
      const client = createClient({ url: `file:${file}`, timeout: 5000 })
      try {
        const { columns, rows } = await client.execute({ sql, args })
        return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])))
      } finally {
        client.close()
      }
    },
  }
}

/** How an SQLite file keeps its journal, which a switch to another writes into it; nothing on PostgreSQL. */
export const journal = async (db: TestDatabase): Promise<Record<string, unknown>[]> =>
  db.kind === 'sqlite' ? db.query('PRAGMA journal_mode') : []

/** A PostgreSQL database by its URL. */
export const postgresqlDatabase = (url: string): TestDatabase => ({
  kind: 'postgresql',
  url,
  query: async (statement, ...values) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      let n = 0
      return (
        await client.query(
          statement.replace(/\?/g, () => `$${++n}`),
          values,
        )
      ).rows
    } finally {
      await client.end()
    }
  },
})

/** Begins a transaction as the application, with one statement; the answer commits it. */
export async function begin(db: TestDatabase, statement: string): Promise<() => Promise<void>> {
  if (db.kind === 'sqlite') {
    const client = createClient({ url: db.url })
    const transaction = await client.transaction('write')
    await transaction.execute(statement)
    return async () => {
      await transaction.commit()
      client.close()
    }
  }
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  await client.query('BEGIN')
  await client.query(statement)
  return async () => {
    await client.query('COMMIT')
    await client.end()
  }
}

async function createPostgresql(options: string): Promise<TestDatabase> {
  const name = `test_${process.pid}_${++databases}`
  await postgresqlDatabase(inject('postgresql')).query(`CREATE DATABASE ${name} ${options}`)
  const url = new URL(inject('postgresql'))
  url.pathname = `/${name}`
  return postgresqlDatabase(url.href)
}
