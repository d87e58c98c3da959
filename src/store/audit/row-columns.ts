import sql, { empty, type Sql } from 'sql-template-tag'
import type { Dialect } from '../database/driver.ts'
import type { Columns } from '../database/statements.ts'
import { readableLabelsText } from '../tables/labels.ts'
import type { Target } from './events.ts'

/** The kinds of rows whose state events keep. */
export const statefulTypes = [
  'workspace',
  'user',
  'app',
  'finding',
  'policy',
  'integration',
] as const satisfies readonly Target['type'][]
export type StatefulType = (typeof statefulTypes)[number]

/** A row as its state is read. */
export interface StateRow {
  readonly id: string
  readonly secrets: string | null
  readonly labels: string | null
  readonly [column: string]: string | number | bigint | null
}

/** What the state of a kind of rows is read from. */
export interface StateSource {
  readonly columns: Columns<StateRow>
  readonly title: Sql
  readonly table: Sql
  readonly joins: Sql
  readonly id: Sql
}

/** What the states of rows are read from, by their kind. */
export function stateSources(dialect: Dialect): { readonly [T in StatefulType]: StateSource } {
  const { toRfc3339, asText } = dialect
  const nothing = { secrets: sql`NULL`, labels: sql`NULL` }
  return {
    workspace: {
      columns: { id: sql`w.id`, name: sql`w.name`, ...nothing },
      title: sql`w.name`,
      table: sql`workspaces w`,
      joins: empty,
      id: sql`w.id`,
    },
    user: {
      columns: { id: sql`u.id`, name: sql`u.name`, email: sql`u.email`, ...nothing },
      title: sql`u.email`,
      table: sql`users u`,
      joins: empty,
      id: sql`u.id`,
    },
    app: {
      columns: { id: sql`a.id`, name: sql`a.name`, platform: sql`a.platform`, client_id: sql`a.client_id`, ...nothing },
      title: sql`a.name`,
      table: sql`integration_apps a`,
      joins: empty,
      id: sql`a.id`,
    },
    finding: {
      columns: {
        id: sql`f.id`,
        code: sql`f.code`,
        integration_id: sql`f.integration_id`,
        workspace: sql`f.workspace`,
        name: sql`f.name`,
        until: toRfc3339(sql`f.until`),
        reason: sql`f.reason`,
        ignored_at: toRfc3339(sql`f.ignored_at`),
        ignored_by: sql`f.ignored_by`,
        ...nothing,
      },
      title: sql`f.code || coalesce(' of ' || f.workspace || '/' || f.name, ' everywhere')`,
      table: sql`integration_findings f`,
      joins: empty,
      id: sql`f.id`,
    },
    policy: {
      columns: {
        id: sql`p.name`,
        platform: sql`p.platform`,
        workspace_id: sql`p.workspace_id`,
        tag_key: sql`p.tag_key`,
        tag_value: sql`p.tag_value`,
        max_secret_age: asText(sql`p.max_secret_age`),
        max_token_age: asText(sql`p.max_token_age`),
        expires_within: asText(sql`p.expires_within`),
        unused_after: asText(sql`p.unused_after`),
        expiry_required: asText(sql`p.expiry_required`),
        owner_required: asText(sql`p.owner_required`),
        updated_at: toRfc3339(sql`p.updated_at`),
        ...nothing,
      },
      title: sql`p.name`,
      table: sql`integration_policies p`,
      joins: empty,
      id: sql`p.name`,
    },
    integration: integrationSource(dialect),
  }
}

function integrationSource(dialect: Dialect): StateSource {
  const { toRfc3339, asText, whole, jsonRows } = dialect
  return {
    columns: {
      id: sql`i.id`,
      name: sql`i.name`,
      workspace_id: sql`i.workspace_id`,
      platform: sql`i.platform`,
      token_expires_at: toRfc3339(sql`i.token_expires_at`),
      slack_team_id: sql`i.slack_team_id`,
      slack_team_name: sql`i.slack_team_name`,
      slack_bot_user_id: sql`i.slack_bot_user_id`,
      pylon_account_id: sql`i.pylon_account_id`,
      is_active: asText(sql`i.is_active`),
      config: asText(sql`i.config`),
      created_by: sql`i.created_by`,
      'integration_versions.version': whole(sql`v.version`),
      'integration_versions.app_id': sql`v.app_id`,
      'integration_refresh_attempts.id': sql`r.id`,
      'integration_refresh_attempts.fence': whole(sql`r.fence`),
      'integration_refresh_attempts.state': sql`r.state`,
      'integration_refresh_attempts.owner': sql`r.owner`,
      'integration_refresh_attempts.old_fingerprint': sql`r.old_fingerprint`,
      'integration_refresh_attempts.started_at': toRfc3339(sql`r.started_at`),
      'integration_refresh_attempts.lease_until': toRfc3339(sql`r.lease_until`),
      'integration_refresh_attempts.finished_at': toRfc3339(sql`r.finished_at`),
      'integration_refresh_attempts.code': sql`r.code`,
      labels: readableLabelsText(dialect, sql`i.id`),
      secrets: jsonRows(
        [
          sql`s.field`,
          whole(sql`s.number`),
          sql`s.fingerprint`,
          toRfc3339(sql`s.valid_until`),
          sql`s.origin`,
          toRfc3339(sql`s.set_at`),
          sql`s.set_by`,
          asText(sql`s.never_expires`),
          toRfc3339(sql`s.expires_at`),
          sql`CASE WHEN s.sealed IS NULL THEN 0 ELSE 1 END`,
        ],
        sql`integration_secrets s WHERE s.integration_id = i.id`,
      ),
    },
    title: sql`coalesce(w.name, i.workspace_id) || '/' || i.name`,
    table: sql`integrations i`,
    joins: sql`LEFT JOIN workspaces w ON w.id = i.workspace_id LEFT JOIN integration_versions v ON v.integration_id = i.id
      LEFT JOIN integration_refresh_attempts r ON r.integration_id = i.id`,
    id: sql`i.id`,
  }
}
