import sql, { join, type Sql } from 'sql-template-tag'
import { secretColumns } from '../../integration.ts'
import type { Statements } from '../database/statements.ts'
import { tablesOfIntegrations } from '../tables/integrations.ts'
import { presenceFunction } from '../tables/secret-metadata.ts'

type Role = 'support' | 'receiver' | 'application' | 'operator' | 'key_admin'

/** Rights on a table, as GRANT takes them; with columns in parentheses, on these alone. */
type Rights = { readonly [R in Role]?: string }

// Columns are named one by one: an application's own tables may have more, such as the password of a user.
const workspace = 'id, name, created_at, updated_at'
const user = 'id, email, name, created_at, updated_at'
const changeable =
  'token_expires_at, slack_team_id, slack_team_name, slack_bot_user_id, pylon_account_id, is_active, config, created_by'
const integration = `id, workspace_id, platform, name, ${changeable}, last_used_at, created_at`
const version =
  'integration_id, field, number, fingerprint, key_id, origin, set_at, set_by, valid_until, never_expires, expires_at, last_matched_at, match_count'
const app = 'id, platform, name, client_id, key_id, created_at'

const secrets = Object.values(secretColumns).join(', ')

const everyRole = (rights: string): Rights => ({
  support: rights,
  receiver: rights,
  application: rights,
  operator: rights,
  key_admin: rights,
})
const change = 'SELECT, INSERT, UPDATE, DELETE'
const append = 'SELECT, INSERT'
/** The end of the audit log, which every change moves. A trigger keeps the encryption mode from who may not change keys. */
const settings = 'SELECT, UPDATE (value, seq, mac, updated_at)'

/** What each role may do with each table. */
const rights: { readonly [table: string]: Rights } = {
  workspaces: everyRole(`SELECT (${workspace})`),
  users: everyRole(`SELECT (${user})`),
  integrations: {
    support: `SELECT (${integration})`,
    receiver: `SELECT (${integration}, ${secrets}), UPDATE (last_used_at)`,
    application: `SELECT (${integration}, ${secrets}), INSERT (id, workspace_id, platform, name, ${changeable}, created_at), UPDATE (${changeable}, ${secrets}), DELETE`,
    operator: change,
    key_admin: `SELECT (${integration}, ${secrets}), UPDATE (${secrets})`,
  },
  integration_versions: { ...everyRole('SELECT'), application: 'SELECT, INSERT, UPDATE', operator: change },
  integration_secrets: {
    support: `SELECT (${version})`,
    receiver: 'SELECT, UPDATE (last_matched_at, match_count)',
    application: change,
    operator: change,
    key_admin: change,
  },
  integration_settings: { ...everyRole('SELECT'), application: settings, operator: settings, key_admin: settings },
  integration_receivers: { support: 'SELECT', receiver: change, operator: 'SELECT', key_admin: 'SELECT' },
  integration_keys: { ...everyRole('SELECT'), key_admin: 'SELECT, INSERT, UPDATE (state)' },
  integration_apps: {
    support: `SELECT (${app})`,
    receiver: 'SELECT',
    application: `SELECT (${app})`,
    operator: change,
    key_admin: 'SELECT, UPDATE (client_secret, key_id)',
  },
  integration_refresh_attempts: { ...everyRole('SELECT'), application: 'SELECT, DELETE', operator: change },
  integration_health: {
    support: 'SELECT',
    application: 'SELECT (integration_id)',
    receiver:
      'SELECT (integration_id, refused_count, refused_since, refused_at, refused_reason), INSERT (integration_id, refused_count, refused_since, refused_at, refused_reason), UPDATE (refused_count, refused_since, refused_at, refused_reason)',
    operator: change,
    key_admin: 'SELECT, INSERT, UPDATE',
  },
  integration_labels: { support: 'SELECT', application: 'SELECT', operator: change, key_admin: 'SELECT' },
  integration_findings: { support: 'SELECT', operator: change, key_admin: 'SELECT' },
  integration_policies: { support: 'SELECT', operator: change, key_admin: 'SELECT' },
  integration_config_revisions: { ...everyRole('SELECT'), application: 'SELECT, INSERT, UPDATE', operator: change },
  integration_events: { ...everyRole('SELECT'), application: append, operator: append, key_admin: append },
  _prisma_migrations: everyRole('SELECT (migration_name, started_at, finished_at, rolled_back_at)'),
}

const roles = {
  support: 'sees what there is, and no secret',
  receiver: 'checks webhooks: reads secrets, and records their use',
  application: 'adds, replaces, pauses and removes integrations for its users: the store of the library',
  operator:
    'changes everything but keys, the encryption mode, the audit log, to which it adds, and the tables themselves',
  key_admin: 'changes keys and the encryption mode, and encrypts the secrets again',
} as const satisfies Record<Role, string>

const nameOf = (role: string) => `integrations_${role}`

/** A name in SQL. */
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

/**
 * The SQL that makes the PostgreSQL roles for those who work with a database, and gives them what they need and no
 * more. It can be run again, and takes back what the roles had besides.
 *
 * @param schema where the tables are
 */
export function rolesSql(schema: string): string {
  const names = Object.keys(roles).map(nameOf)
  const table = (name: string) => `${quoted(schema)}.${quoted(name)}`
  const grant = (name: string, { ...held }: Rights) =>
    Object.entries(held).map(([role, what]) => `GRANT ${what} ON ${table(name)} TO ${nameOf(role)};`)
  return `-- Roles for those who work with the integrations of this database. They cannot log in themselves: make one that can
-- a member, as in GRANT integrations_support TO ana, or of two, where a person does the work of both. Run this as the owner of the tables, with the right to make roles,
-- and again after each upgrade of integrations. A role that a database has already is kept.
--
${Object.entries(roles)
  .map(([role, what]) => `-- ${nameOf(role)}: ${what}`)
  .join('\n')}
--
-- Before PostgreSQL 15, every role may make tables in the schema public: REVOKE CREATE ON SCHEMA public FROM PUBLIC.
BEGIN;

DO $integrations$
BEGIN
${names
  .map(
    (name) => `  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${name}') THEN
    CREATE ROLE ${name} NOLOGIN;
  END IF;`,
  )
  .join('\n')}
END
$integrations$;

GRANT USAGE ON SCHEMA ${quoted(schema)} TO ${names.join(', ')};

-- A right on a whole table would go before the columns named below.
${Object.keys(rights)
  .map((name) => `REVOKE ALL ON ${table(name)} FROM ${names.join(', ')};`)
  .join('\n')}

${Object.entries(rights)
  .flatMap(([name, held]) => grant(name, held))
  .join('\n')}

-- Whether a secret is there, and not its value: where the application writes secrets too, nothing else tells.
${presenceFunction(quoted(schema), nameOf('support'))}

DO $integrations$
BEGIN
  -- In an adopted database, workspaces and users are the application's.
  IF EXISTS (SELECT FROM ${table('integration_settings')} WHERE key = 'database' AND value = 'own') THEN
    GRANT ${change} ON ${table('workspaces')}, ${table('users')} TO ${nameOf('operator')};
  END IF;
  -- No foreign key deletes what is kept of an integration that a view shows: the store of the application does.
  IF EXISTS (SELECT FROM pg_class WHERE oid = '${table('integrations').replaceAll("'", "''")}'::regclass AND relkind = 'v') THEN
    GRANT DELETE ON ${tablesOfIntegrations.map(table).join(', ')} TO ${nameOf('application')};
  END IF;
  -- What is granted to every role, or to a role that this one is a member of, is not taken back above.
${[
  ...Object.values(secretColumns).map((column) => ['integrations', column] as const),
  ['integration_secrets', 'sealed'] as const,
  ['integration_apps', 'client_secret'] as const,
]
  .map(
    ([
      name,
      column,
    ]) => `  IF has_column_privilege('${nameOf('support')}', '${table(name).replaceAll("'", "''")}', '${column}', 'SELECT') THEN
    RAISE EXCEPTION 'integrations_support could still read ${name}.${column}: every role can, or a role that integrations_support is a member of';
  END IF;`,
  )
  .join('\n')}
END
$integrations$;

COMMIT;
`
}

/**
 * The roles of `rolesSql` that were given rights in a PostgreSQL database, and may not read a table which they are to read:
 * those of a version before. A server has its roles for all of its databases.
 */
export async function outdatedRoles(db: Statements, schema: string): Promise<string[]> {
  const table = (name: string) => `${quoted(schema)}.${quoted(name)}`
  const mayRead = (name: Sql) =>
    sql`pg_catalog.has_any_column_privilege(r.oid, pg_catalog.to_regclass(${name})::oid, 'SELECT')`
  const needed = Object.entries(rights).flatMap(([name, held]) =>
    Object.keys(held).map((role) => sql`SELECT ${nameOf(role)} AS role, ${table(name)} AS name`),
  )
  const rows = await db.query<{ role: string }>(
    { role: sql`r.rolname` },
    sql`FROM pg_catalog.pg_roles r WHERE ${mayRead(sql`${table('integration_settings')}`)} AND EXISTS (
      SELECT 1 FROM (${join(needed, ' UNION ALL ')}) n WHERE n.role = r.rolname AND NOT ${mayRead(sql`n.name`)}) ORDER BY r.rolname`,
  )
  return rows.map(({ role }) => role)
}
