/** The migrations, as they stand in the repository. @module */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Provider } from './database/url.ts'

/** A migration: its name, which begins with its time, and its statements. */
export interface MigrationFile {
  readonly name: string
  readonly statements: string
}

/**
 * The migrations for a kind of database, oldest first. The build writes them down in the place of this function: an
 * application that bundles the library has no folder of ours beside its bundle.
 */
export function migrationFiles(provider: Provider): readonly MigrationFile[] {
  const folder = join(import.meta.dirname, '../../prisma/migrations', provider)
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, statements: readFileSync(join(folder, name, 'migration.sql'), 'utf8') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
