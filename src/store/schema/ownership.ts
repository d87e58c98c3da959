import sql from 'sql-template-tag'
import type { Statements } from '../database/statements.ts'
import type { MigrationState } from '../migrations.ts'

/** Who the tables belong to, and who writes them. */
export interface Ownership {
  /** The application owns workspaces and users, and writes secrets too. */
  readonly adopted: boolean
  /** The application may write secrets, as far as the encryption mode goes. */
  readonly applicationWrites: boolean
}

/** Reads whose the tables of a database are, as far as its migrations have come. */
export async function readOwnership(db: Statements, { applied }: MigrationState): Promise<Ownership> {
  // The first migration makes the application's tables, the second the settings.
  if (applied.length < 2) return ownership(null, null)
  const rows = await db.query<{ key: string; value: string }>(
    { key: sql`s.key`, value: sql`s.value` },
    sql`FROM integration_settings s WHERE s.key IN ('database', 'sealing')`,
  )
  const value = (key: string) => rows.find((row) => row.key === key)?.value ?? null
  return ownership(value('database'), value('sealing'))
}

/** What the settings say of the application; the mode is empty until the first change decides it. */
export const ownership = (kind: string | null, mode: string | null): Ownership => ({
  adopted: kind === 'adopted',
  applicationWrites: mode === 'off' || mode === 'migrating' || (kind === 'adopted' && mode !== 'required'),
})
