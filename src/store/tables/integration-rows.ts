import sql, { type Sql } from 'sql-template-tag'
import type { Fingerprint, Instant } from '../../brands.ts'
import type { Damageable } from '../../damage.ts'
import {
  type IntegrationView,
  type SecretFacts,
  type SecretField,
  secretColumns,
  type TokenExpiry,
} from '../../integration.ts'
import { type Json, sortKeys } from '../../json.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns } from '../database/statements.ts'
import { active } from './integration-filter.ts'
import type { Source } from './page.ts'
import { type AttemptState, leased, tokenRefreshOf } from './refresh-attempts.ts'
import { expiryOf, type Presence, type SecretSummary, secretFacts, secretFactsText } from './secret-metadata.ts'
import type { integrationSorts } from './sorts.ts'

/** An integration as `integrationSource` selects it. */
export interface IntegrationRow
  extends Omit<
    IntegrationView,
    SecretField | 'workspace' | 'tokenExpiry' | 'tokenRefresh' | 'isActive' | 'config' | 'version'
  > {
  /** null: the workspace is not there. */
  readonly workspace: string | null
  readonly isActive: boolean | number | bigint | string
  readonly config: string | null
  readonly version: bigint | number | null
  readonly appId: string | null
  readonly attemptState: AttemptState | null
  readonly oldFingerprint: Fingerprint | null
  readonly leased: boolean | number | bigint | null
  readonly secrets: string | null
  /** The columns of the secrets that are there; null where the database was not asked. */
  readonly held: string | null
}

/** What integrations are read from. */
export function integrationSource(dialect: Dialect, { held }: Presence) {
  const { toRfc3339, comparableTime, binaryOrder, asText, whole, flag } = dialect
  const from = sql`integrations i LEFT JOIN workspaces w ON w.id = i.workspace_id LEFT JOIN integration_versions v ON v.integration_id = i.id`
  const columns: Columns<IntegrationRow> = {
    id: sql`i.id`,
    workspaceId: sql`i.workspace_id`,
    workspace: sql`w.name`,
    platform: sql`i.platform`,
    name: sql`i.name`,
    tokenExpiresAt: toRfc3339(sql`i.token_expires_at`),
    slackTeamId: sql`i.slack_team_id`,
    slackTeamName: sql`i.slack_team_name`,
    slackBotUserId: sql`i.slack_bot_user_id`,
    pylonAccountId: sql`i.pylon_account_id`,
    isActive: flag(sql`i.is_active`, active),
    config: asText(sql`i.config`),
    lastUsedAt: toRfc3339(sql`i.last_used_at`),
    createdAt: toRfc3339(sql`i.created_at`),
    createdBy: sql`i.created_by`,
    version: whole(sql`v.version`),
    app: sql`a.name`,
    appId: sql`v.app_id`,
    attemptState: sql`r.state`,
    oldFingerprint: sql`r.old_fingerprint`,
    leased: leased(dialect),
    secrets: secretFactsText(dialect, sql`i.id`),
    held,
  }
  return {
    columns,
    from,
    columnsFrom: () =>
      sql`${from} LEFT JOIN integration_apps a ON a.id = v.app_id LEFT JOIN integration_refresh_attempts r ON r.integration_id = i.id`,
    id: sql`i.id`,
    table: 'integrations',
    keys: {
      name: binaryOrder(sql`i.name`),
      workspace: binaryOrder(sql`w.name`),
      platform: binaryOrder(sql`i.platform`),
      isActive: active,
      createdAt: comparableTime(sql`i.created_at`),
      lastUsedAt: comparableTime(sql`i.last_used_at`),
      tokenExpiresAt: comparableTime(sql`i.token_expires_at`),
      version: sql`COALESCE(v.version, 0)`,
      id: binaryOrder(sql`i.id`),
    } satisfies Record<(typeof integrationSorts)[number], Sql>,
    grouped: {
      workspace: {
        // SQLite goes through tables in this order, as a condition would not have it do.
        from: sql`workspaces w CROSS JOIN integrations i LEFT JOIN integration_versions v ON v.integration_id = i.id`,
        belongs: sql`i.workspace_id = w.id`,
        owner: sql`i.workspace_id`,
        ownerKey: binaryOrder(sql`w.id`),
        within: [binaryOrder(sql`i.name`), binaryOrder(sql`i.id`)],
      },
    },
  } satisfies Source<IntegrationRow>
}

/** An integration as it is shown. `shared`: the application writes secrets too. */
export function toIntegration(row: IntegrationRow & Damageable, shared: boolean): IntegrationView {
  const unreadable = row.damage?.includes('secrets') ?? false
  const secrets = unreadable ? undefined : secretFacts(row.secrets)
  const spoilt = secrets === undefined
  const damage = damageOf(row, spoilt)
  const version = Number(row.version ?? 0)
  // The application wrote the row, or may have written to it, and its secrets are not recorded yet.
  const unread = shared || spoilt || version === 0
  const isSet = (field: SecretField) =>
    row.held?.includes(secretColumns[field]) ?? (secrets?.get(field)?.current ? true : unread ? null : false)
  const shown = (field: SecretField): SecretFacts => {
    const secret = secrets?.get(field)
    const set = isSet(field)
    // The application may have cleared it since it was recorded.
    const current = set === false ? undefined : secret?.current
    return {
      set,
      fingerprint: current?.fingerprint ?? null,
      setAt: current?.setAt ?? null,
      previousValidUntil: secret?.previousValidUntil ?? null,
    }
  }
  const { attemptState: state, oldFingerprint } = row
  const attempt =
    state === null || oldFingerprint === null ? null : { state, oldFingerprint, leased: Boolean(row.leased) }
  const refreshToken = shown('refreshToken')
  // A copy of the row with ... takes three times as long, which a list of all integrations would show.
  return {
    id: row.id,
    workspaceId: row.workspaceId,
    workspace: row.workspace ?? row.workspaceId,
    platform: row.platform,
    name: row.name,
    webhookSecret: shown('webhookSecret'),
    accessToken: shown('accessToken'),
    refreshToken,
    tokenExpiresAt: row.tokenExpiresAt,
    tokenExpiry: tokenExpiry(row.tokenExpiresAt, secrets?.get('accessToken')?.current, isSet('accessToken')),
    tokenRefresh: tokenRefreshOf(attempt, refreshToken.fingerprint),
    app: row.app,
    slackTeamId: row.slackTeamId,
    slackTeamName: row.slackTeamName,
    slackBotUserId: row.slackBotUserId,
    pylonAccountId: row.pylonAccountId,
    isActive: Boolean(row.isActive),
    config: parsed(row.config),
    lastUsedAt: row.lastUsedAt,
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    version,
    ...(damage.length > 0 ? { damage } : {}),
  }
}

/** What of a row cannot be read, and what names a row that is not there. */
function damageOf({ damage = [], workspace, app, appId }: IntegrationRow & Damageable, spoilt: boolean): string[] {
  const missing = [
    ...(workspace === null ? ['workspaceId'] : []),
    ...(appId !== null && app === null ? ['app'] : []),
    ...(spoilt ? ['secrets'] : []),
  ]
  const known = damage.filter((name) => name !== 'appId')
  return [...known, ...missing.filter((name) => !known.includes(name))]
}

// One row that the application spoilt must not keep the others from being shown.
function parsed(text: string | null): Json {
  try {
    if (text === null) return null
    // Fails on nesting that is too deep to be printed.
    return sortKeys(JSON.parse(text))
  } catch {
    return text
  }
}

function tokenExpiry(expiresAt: Instant | null, token: SecretSummary['current'], isSet: boolean | null): TokenExpiry {
  if (expiresAt === null && isSet === false) return null
  return expiryOf(expiresAt, token?.neverExpires ?? false)
}
