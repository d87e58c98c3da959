import sql, { join, type Sql } from 'sql-template-tag'
import { damageText } from '../../damage.ts'
import type { ColumnKind, Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** A row of a table of this program with columns that cannot be read. */
export interface DamagedRow {
  readonly table: string
  /** Of the integration, the app, the ignored finding or the policy. */
  readonly id: string
  readonly problem: string
}

/** Columns of the tables beside the integrations, but for values and the log. The first names the row. */
const columnsOf = {
  integration_versions: { integration_id: 'text', version: 'whole', updated_at: 'time', app_id: 'text' },
  integration_secrets: {
    integration_id: 'text',
    field: 'text',
    number: 'whole',
    fingerprint: 'text',
    key_id: 'text',
    origin: 'text',
    set_at: 'time',
    set_by: 'text',
    valid_until: 'time',
    never_expires: 'flag',
    expires_at: 'time',
    last_matched_at: 'time',
    match_count: 'whole',
  },
  integration_apps: { id: 'text', platform: 'text', name: 'text', client_id: 'text', created_at: 'time' },
  integration_refresh_attempts: {
    integration_id: 'text',
    id: 'text',
    fence: 'whole',
    state: 'text',
    owner: 'text',
    old_fingerprint: 'text',
    started_at: 'time',
    lease_until: 'time',
    finished_at: 'time',
    code: 'text',
  },
  integration_config_revisions: {
    integration_id: 'text',
    version: 'whole',
    before: 'text',
    after: 'text',
    changed_at: 'time',
  },
  integration_health: {
    integration_id: 'text',
    check_verdict: 'text',
    check_code: 'text',
    check_fingerprint: 'text',
    checked_at: 'time',
    refused_count: 'whole',
    refused_since: 'time',
    refused_at: 'time',
    refused_reason: 'text',
  },
  integration_labels: { integration_id: 'text', key: 'text', value: 'text' },
  integration_findings: {
    id: 'text',
    code: 'text',
    integration_id: 'text',
    workspace: 'text',
    name: 'text',
    until: 'time',
    reason: 'text',
    ignored_at: 'time',
    ignored_by: 'text',
  },
  integration_policies: {
    name: 'text',
    platform: 'text',
    workspace_id: 'text',
    tag_key: 'text',
    tag_value: 'text',
    max_secret_age: 'whole',
    max_token_age: 'whole',
    expires_within: 'whole',
    unused_after: 'whole',
    expiry_required: 'flag',
    owner_required: 'flag',
    updated_at: 'time',
  },
} as const satisfies { readonly [table: string]: { readonly [column: string]: ColumnKind } }

const ofRow = (column: string) => sql([`r.${column}`])

/** Whether a row (`r`) of a table has a column that cannot be read. */
export function isDamaged({ isMalformed }: Dialect, table: keyof typeof columnsOf): Sql {
  const columns = Object.entries<ColumnKind>(columnsOf[table])
  return sql`(${join(
    columns.map(([name, kind]) => isMalformed(kind, ofRow(name))),
    ' OR ',
  )})`
}

/** How many rows of each table are told of. */
const mostRows = 100

/** The rows with columns that cannot be read, whether or not another row names them; at most 100 of each table. */
export async function damagedRows(db: Statements, dialect: Dialect): Promise<DamagedRow[]> {
  const read: Record<ColumnKind, (column: Sql) => Sql> = {
    text: (column) => column,
    whole: dialect.whole,
    time: dialect.toRfc3339,
    flag: (column) => dialect.flag(column, sql`(${column} IS TRUE)`),
  }
  const found: DamagedRow[] = []
  for (const table of Object.keys(columnsOf) as (keyof typeof columnsOf)[]) {
    const columns = Object.entries<ColumnKind>(columnsOf[table]).map(([name, kind]) => [name, read[kind](ofRow(name))])
    const rows = await db.queryAll<Record<string, unknown>>(
      Object.fromEntries(columns),
      sql`FROM ${sql([table])} r WHERE ${isDamaged(dialect, table)} LIMIT ${mostRows}`,
    )
    for (const { damage, ...cells } of rows) {
      const id = String(Object.values(cells)[0])
      found.push({ table, id, problem: damageText(id, damage ?? []) })
    }
  }
  return found
}
