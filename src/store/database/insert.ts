import sql, { join, raw } from 'sql-template-tag'
import { columnName } from '../../damage.ts'
import type { Prisma } from '../generated/sqlite/client.ts'
import type { WritableStatements } from './statements.ts'

/** What a row of each table holds, by the fields of its model in prisma/models.prisma; JSON as its text. */
interface Rows {
  readonly integrations: Prisma.IntegrationCreateManyInput & { readonly config?: string }
  readonly integration_keys: Prisma.IntegrationKeyCreateManyInput
  readonly workspaces: Prisma.WorkspaceCreateManyInput
}

/**
 * Puts a row into a table, by SQL: Prisma's models, which give the rows their types, take longer to load than all else
 * that is done for one. A column whose field is undefined gets its default.
 */
export async function insertRow<Table extends keyof Rows>(
  tx: WritableStatements,
  table: Table,
  row: Rows[Table],
): Promise<void> {
  const given = Object.entries(row).filter(([, value]) => value !== undefined)
  const columns = given.map(([field]) => raw(columnName(field)))
  await tx.execute(sql`INSERT INTO ${raw(table)} (${join(columns)}) VALUES (${join(given.map(([, value]) => value))})`)
}
