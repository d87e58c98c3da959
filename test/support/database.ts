import { chmodSync, copyFileSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@libsql/client/sqlite3'
import pg from 'pg'
import { inject } from 'vitest'
import { freshFolder } from './program.ts'

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

/** The tables that this program keeps beside the application's. */
export const ownTables = [
  'integration_versions',
  'integration_secrets',
  'integration_settings',
  'integration_keys',
  'integration_events',
  'integration_apps',
  'integration_refresh_attempts',
  'integration_receivers',
  'integration_config_revisions',
  'integration_health',
  'integration_labels',
  'integration_findings',
  'integration_policies',
] as const

/** Takes a database back to what the first migration made, apart from Prisma's history. */
export async function dropOwnTables(db: TestDatabase): Promise<void> {
  for (const table of ownTables) await db.query(`DROP TABLE ${table}`)
  if (db.kind === 'postgresql')
    await db.query('DROP FUNCTION integration_events_append_only, integration_settings_guard')
}

/** A database that has the tables and nothing in them. */
export async function freshDatabase(kind: Kind): Promise<TestDatabase> {
  if (kind === 'sqlite') {
    const file = join(freshFolder(), 'integrations.db')
    copyFileSync(inject('sqliteTemplate'), file)
    return sqliteDatabase(file)
  }
  return createPostgresql('TEMPLATE integrations_template')
}

/** A copy of a database that nobody is connected to. */
export async function copyOf(db: TestDatabase): Promise<TestDatabase> {
  if (db.kind === 'sqlite') {
    const file = join(freshFolder(), 'integrations.db')
    await db.query(`VACUUM INTO '${file}'`)
    chmodSync(file, 0o600)
    const copy = sqliteDatabase(file)
    await copy.query('PRAGMA journal_mode = WAL')
    return copy
  }
  // The tests' own connection goes after 20 ms.
  await sleep(50)
  return createPostgresql(`TEMPLATE ${new URL(db.url).pathname.slice(1)}`)
}

/** Puts a copy in the place of a database, as a restored backup. Nobody may be connected to either. */
export async function putBack(db: TestDatabase, copy: TestDatabase): Promise<void> {
  if (db.kind === 'sqlite') {
    const file = db.url.slice('file:'.length)
    for (const beside of ['', '-wal', '-shm']) rmSync(`${file}${beside}`, { force: true })
    copyFileSync(copy.url.slice('file:'.length), file)
    return
  }
  // The tests' own connections go after 20 ms.
  await sleep(50)
  const [name, from] = [db, copy].map(({ url }) => new URL(url).pathname.slice(1))
  const server = postgresqlDatabase(inject('postgresql'))
  await server.query(`DROP DATABASE ${name}`)
  await server.query(`CREATE DATABASE ${name} TEMPLATE ${from}`)
}

/** A PostgreSQL database without any table but those that statements make. */
export async function emptyPostgresql(statements = ''): Promise<TestDatabase> {
  const db = await createPostgresql('TEMPLATE template0')
  await db.query(statements)
  return db
}

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

/** Adds integrations without secrets to a workspace of their own, as an application would: `many-00001` and so on. */
export async function addMany(db: TestDatabase, count: number): Promise<void> {
  const then = "'2026-01-02 03:04:05'"
  await db.query(`INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('many', 'Many', ${then}, ${then})`)
  await db.query(`INSERT INTO integrations (id, workspace_id, platform, name, created_at)
    WITH RECURSIVE n (i) AS (SELECT 100001 UNION ALL SELECT i + 1 FROM n WHERE i < ${100000 + count})
    SELECT 'many-' || substr(CAST(i AS TEXT), 2), 'many', 'slack', 'many-' || substr(CAST(i AS TEXT), 2), ${then} FROM n`)
}

/** How an SQLite file keeps its journal, which a switch to another writes into it; nothing on PostgreSQL. */
export const journal = async (db: TestDatabase): Promise<Record<string, unknown>[]> =>
  db.kind === 'sqlite' ? db.query('PRAGMA journal_mode') : []

/** A PostgreSQL database by its URL. */
export function postgresqlDatabase(url: string): TestDatabase {
  // One connection serves the queries that follow each other, and is gone before anybody minds it.
  const pool = new pg.Pool({ connectionString: url, idleTimeoutMillis: 20, allowExitOnIdle: true })
  pool.on('error', () => {})
  return {
    kind: 'postgresql',
    url,
    query: async (statement, ...values) => {
      let n = 0
      const { rows } = await pool.query(
        statement.replace(/\?/g, () => `$${++n}`),
        values,
      )
      return rows
    },
  }
}

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
  const name = `test_${crypto.randomUUID().replaceAll('-', '')}`
  // Copied as files, without a log of every page: nothing has to survive.
  await postgresqlDatabase(inject('postgresql')).query(`CREATE DATABASE ${name} ${options} STRATEGY file_copy`)
  const url = new URL(inject('postgresql'))
  url.pathname = `/${name}`
  return postgresqlDatabase(url.href)
}

/** What the PostgreSQL server has logged about a database so far; undefined where the server is not the tests' own. */
export async function serverLog(db: TestDatabase): Promise<string | undefined> {
  const file = inject('postgresqlLog')
  if (file === '') return undefined
  const name = new URL(db.url).pathname.slice(1)
  // The log comes through a pipe: what was logged before this has arrived once this has.
  const mark = `until here ${crypto.randomUUID()}`
  await db.query(`DO 'BEGIN RAISE WARNING ''${mark}''; END'`)
  for (;;) {
    const text = readFileSync(file, 'utf8')
    const entries = text.split(/\n(?!\t)/).filter((entry) => entry.startsWith(`${name} `))
    if (entries.some((entry) => entry.includes(mark))) return entries.join('\n')
    await sleep(20)
  }
}

/** Every row of every table, but for what the server itself notes. */
export async function contents(db: TestDatabase): Promise<Record<string, unknown[]>> {
  const tables = await db.query(
    db.kind === 'sqlite'
      ? "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
      : "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
  )
  const rows: Record<string, unknown[]> = {}
  for (const { name } of tables)
    rows[String(name)] = (await db.query(`SELECT * FROM "${name}"`)).map((row) => JSON.stringify(row)).sort()
  return rows
}
