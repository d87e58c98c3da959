import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import { failpoint } from '../failpoint.ts'
import type { Provider } from './database/url.ts'
import { migrationFiles } from './migration-files.ts'
import type { SchemaEngine } from './schema/engine.ts'

/**
 * Ours among the names in `_prisma_migrations`, which an application that uses Prisma shares with us: `prisma migrate
 * dev` writes no two underscores side by side.
 */
const ownName = /^\d{14}_integrations__/

/** Those that are about the tables of the application: in an adopted database they are marked as applied, and nothing is done. */
const applicationName = /^\d{14}_integrations__application/

/** Whether a migration changes the tables of the application, which in an adopted database stay as they are. */
const isForApplicationTables = (name: string): boolean => applicationName.test(name)

/** The table that Prisma keeps its history in, as its engine creates it. */
const historyTable: Record<Provider, string> = {
  postgresql: `CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
);`,
  sqlite: `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id"                    TEXT PRIMARY KEY NOT NULL,
    "checksum"              TEXT NOT NULL,
    "finished_at"           DATETIME,
    "migration_name"        TEXT NOT NULL,
    "logs"                  TEXT,
    "rolled_back_at"        DATETIME,
    "started_at"            DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count"   INTEGER UNSIGNED NOT NULL DEFAULT 0
);`,
}

/** How a database stands to the migrations of this program. */
export interface MigrationState {
  readonly applied: readonly string[]
  readonly pending: readonly string[]
  /** Names that this program does not know, of a newer one of ours or of the application's. */
  readonly unknown: readonly string[]
  /** A newer version of this program has been here. */
  readonly newer: boolean
}

/** Compares the names of the migrations that a database has, oldest first, with those that came with this program. */
export function migrationState(provider: Provider, done: readonly string[]): MigrationState {
  const known = migrationNames(provider)
  const unknown = done.filter((name) => !known.includes(name))
  return {
    applied: known.filter((name) => done.includes(name)),
    pending: known.filter((name) => !done.includes(name)),
    unknown,
    newer: unknown.some((name) => ownName.test(name)),
  }
}

/**
 * Applies what is pending, on a connection that the caller holds a write transaction on and commits.
 *
 * @param state how the database stands: in an adopted one, what is about the application's tables is marked as applied
 * @returns the names applied
 */
export const applyMigrations = (
  { provider, areViews }: MigratedTables,
  adapter: SqlDriverAdapter,
  { migrations, adopted }: { readonly migrations: Pick<MigrationState, 'pending'>; readonly adopted: boolean },
): Promise<string[]> =>
  withEngine(provider, adapter, async (engine) => {
    const skipped = adopted ? migrations.pending.filter(isForApplicationTables) : []
    await markApplied(provider, engine, skipped)
    return [...skipped, ...(await applyPending(engine, { provider, areViews }))].sort()
  })

async function markApplied(provider: Provider, engine: SchemaEngine, names: readonly string[]): Promise<void> {
  for (const migrationName of names)
    await engine.markMigrationApplied({ migrationName, migrationsList: migrationsList(provider) })
}

/** The tables that migrations are applied to. */
export interface MigratedTables {
  readonly provider: Provider
  /** Those of the application are views, which no foreign key can refer to. */
  readonly areViews: boolean
}

/** The statements that have a table of ours refer to integrations. */
const references = /^ALTER TABLE "integration_\w+" ADD CONSTRAINT [^;]* REFERENCES "integrations"[^;]*;$/gm

/** Tables of no interest to the engine: none. */
export const noFilters = { externalTables: [], externalEnums: [] }

async function applyPending(engine: SchemaEngine, { provider, areViews }: MigratedTables): Promise<string[]> {
  const { appliedMigrationNames } = await engine.applyMigrations({
    migrationsList: migrationsList(provider, areViews ? (script) => script.replace(references, '') : undefined),
    filters: noFilters,
  })
  failpoint('migrations applied')
  return appliedMigrationNames
}

/**
 * Takes over a database whose application tables are there already: marks as applied what is about these, and applies the
 * rest, on a connection that the caller holds a write transaction on and commits.
 */
export async function baseline({ provider, areViews }: MigratedTables, adapter: SqlDriverAdapter): Promise<string[]> {
  // Without the table the engine throws on SQLite, and takes the database for one that it must not touch.
  await adapter.executeScript(historyTable[provider])
  return withEngine(provider, adapter, async (engine) => {
    const taken = migrationNames(provider).filter(isForApplicationTables)
    if (taken.length === 0) throw new Error('this build has no migrations')
    await markApplied(provider, engine, taken)
    failpoint('tables taken over')
    return [...taken, ...(await applyPending(engine, { provider, areViews }))].sort()
  })
}

/** The tables that this program keeps beside the application's: those that the migrations make which are not about those. */
export function ownTables(provider: Provider): string[] {
  const own = migrationFiles(provider).filter(({ name }) => !isForApplicationTables(name))
  return own.flatMap(({ statements }) =>
    [...statements.matchAll(/^CREATE TABLE "(\w+)"/gm)].map(([, name = '']) => name),
  )
}

/** The triggers that the migrations make, by name: on SQLite the statement, on PostgreSQL what the function runs. */
export function ownTriggers(provider: Provider): ReadonlyMap<string, string> {
  const made =
    provider === 'sqlite'
      ? /^(?<definition>CREATE TRIGGER "(?<name>\w+)"[\s\S]*?\nEND);/gm
      : /^CREATE OR REPLACE FUNCTION "(?<name>\w+)"\(\) RETURNS trigger LANGUAGE plpgsql AS \$\$(?<definition>[\s\S]*?)\$\$;/gm
  return new Map(
    migrationFiles(provider).flatMap(({ statements }) =>
      [...statements.matchAll(made)].map(({ groups }) => [groups?.name ?? '', groups?.definition ?? '']),
    ),
  )
}

async function withEngine<T>(
  provider: Provider,
  adapter: SqlDriverAdapter,
  work: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  // 5 MB of WebAssembly that only an outdated database needs.
  const { startSchemaEngine } = await import('./schema/engine.ts')
  let refusal: unknown
  const keeping =
    <Given, Answer>(run: (given: Given) => Promise<Answer>) =>
    (given: Given) =>
      run(given).catch((error: unknown) => {
        refusal ??= error
        throw error
      })
  let engine: SchemaEngine | undefined
  try {
    engine = await startSchemaEngine(provider, {
      ...adapter,
      queryRaw: keeping(adapter.queryRaw),
      executeRaw: keeping(adapter.executeRaw),
      executeScript: keeping(adapter.executeScript),
    })
    return await work(engine)
  } catch (error) {
    // The engine says of what a statement met only that it met something.
    throw refusal ?? error
  } finally {
    engine?.free()
  }
}

const migrationNames = (provider: Provider) => migrationFiles(provider).map(({ name }) => name)

const migrationsList = (provider: Provider, edit = (script: string) => script) => ({
  baseDir: '',
  lockfile: { path: 'migration_lock.toml', content: `provider = "${provider}"\n` },
  shadowDbInitScript: '',
  migrationDirectories: migrationFiles(provider).map(({ name, statements }) => ({
    path: name,
    migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value: edit(statements) } },
  })),
})
