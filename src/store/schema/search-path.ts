import sql from 'sql-template-tag'
import { badInput } from '../../errors.ts'
import { schemasOf } from '../database/postgresql/url.ts'
import type { Columns } from '../database/statements.ts'

/** The search path that a session has by itself, and the schemas with tables of this program, as JSON. */
export interface SearchPath {
  readonly path: string | null
  /** What it is where nothing sets it. */
  readonly usual: string | null
  readonly role: string | null
  readonly schemas: string | null
}

/** Reads the search path that PostgreSQL goes back to: with a statement of ours, another is set. */
export const searchPath: Columns<SearchPath> = {
  path: sql`(SELECT s.reset_val FROM pg_settings s WHERE s.name = 'search_path')`,
  usual: sql`(SELECT s.boot_val FROM pg_settings s WHERE s.name = 'search_path')`,
  role: sql`current_user::text`,
  schemas: sql`(SELECT json_agg(n.nspname)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = 'integration_settings' AND c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE'))`,
}

/** Nothing in its place, where the URL names a schema. */
export const noSearchPath: Columns<SearchPath> = {
  path: sql`NULL`,
  usual: sql`NULL`,
  role: sql`NULL`,
  schemas: sql`NULL`,
}

/**
 * Refuses to use the tables of the usual schema, or to make them there, when the search path of the role, the database or
 * the session leads to those of another schema, or begins with another: the application's tables would be there.
 *
 * @throws BAD_INPUT
 */
export function refuseOtherSchema({ path, usual, role, schemas }: Partial<SearchPath> = {}): void {
  const ours = JSON.parse(schemas ?? '[]') as string[]
  const names = schemasOf(path ?? '')
  const holder = names.map((name) => (name === '$user' ? (role ?? '') : name)).find((name) => ours.includes(name))
  const first = path === usual ? undefined : names.find((name) => name !== '' && name !== '$user')
  const meant = holder ?? first
  if (meant !== undefined && meant !== 'public')
    throw badInput(
      `the search path of the role or the database leads to the schema "${meant}", and the database URL names no schema`,
      `add schema=${encodeURIComponent(meant)} to the database URL, or schema=public`,
    )
}
