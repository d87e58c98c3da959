import sql from 'sql-template-tag'
import { badInput } from '../../errors.ts'
import { schemasOf } from '../database/postgresql/url.ts'
import type { Columns } from '../database/statements.ts'

/** The search path that a session has by itself, and the schemas with tables of this program, as JSON. */
export interface SearchPath {
  /** The path, and what it is where nothing sets it, as JSON: the server makes a row of each of its settings for both. */
  readonly paths: string | null
  readonly role: string | null
  readonly schemas: string | null
}

/** Reads the search path that PostgreSQL goes back to: with a statement of ours, another is set. */
export const searchPath: Columns<SearchPath> = {
  paths: sql`(SELECT json_build_array(s.reset_val, s.boot_val)::text FROM pg_settings s WHERE s.name = 'search_path')`,
  role: sql`current_user::text`,
  schemas: sql`(SELECT json_agg(n.nspname)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = 'integration_settings' AND c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE'))`,
}

/** Nothing in its place, where the URL names a schema. */
export const noSearchPath: Columns<SearchPath> = {
  paths: sql`NULL`,
  role: sql`NULL`,
  schemas: sql`NULL`,
}

/**
 * Refuses to use the tables of the usual schema, or to make them there, when the search path of the role, the database or
 * the session leads to those of another schema, or begins with another: the application's tables would be there.
 *
 * @throws BAD_INPUT
 */
export function refuseOtherSchema({ paths, role, schemas }: Partial<SearchPath> = {}): void {
  const [path, usual] = JSON.parse(paths ?? '[]') as (string | null)[]
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
