/** A row of `everything`, with timestamps as the driver gives them. */
export interface Row {
  [column: string]: string | number | boolean | Date | null
}

/** What `list --all -o jsonl` reads, in one statement. Every integration has at most one current secret per field. */
export const everything = (
  bytes: string,
) => `SELECT i.id, i.name, i.platform, w.name AS "workspace", i.workspace_id AS "workspaceId", i.is_active IS NOT FALSE AS "isActive",
    s.set_at AS "webhookSetAt", s.fingerprint AS "webhookFingerprint", a.set_at AS "accessSetAt", a.fingerprint AS "accessFingerprint", a.never_expires AS "neverExpires",
    r.set_at AS "refreshSetAt", r.fingerprint AS "refreshFingerprint", i.token_expires_at AS "tokenExpiresAt", i.slack_team_id AS "slackTeamId",
    i.slack_team_name AS "slackTeamName", i.slack_bot_user_id AS "slackBotUserId", i.pylon_account_id AS "pylonAccountId", i.config,
    i.last_used_at AS "lastUsedAt", i.created_at AS "createdAt", i.created_by AS "createdBy", coalesce(v.version, 0) AS "version",
    h.check_verdict AS "checkVerdict", h.refused_count AS "refusedCount", l.value AS "owner"
  FROM integrations i JOIN workspaces w ON w.id = i.workspace_id LEFT JOIN integration_versions v ON v.integration_id = i.id
    LEFT JOIN integration_secrets s ON s.integration_id = i.id AND s.field = 'webhook_secret' AND s.valid_until IS NULL
    LEFT JOIN integration_secrets a ON a.integration_id = i.id AND a.field = 'access_token' AND a.valid_until IS NULL
    LEFT JOIN integration_secrets r ON r.integration_id = i.id AND r.field = 'refresh_token' AND r.valid_until IS NULL
    LEFT JOIN integration_health h ON h.integration_id = i.id
    LEFT JOIN integration_labels l ON l.integration_id = i.id AND l.key = 'owner'
  ORDER BY w.name ${bytes}, w.id ${bytes}, i.name ${bytes}, i.id ${bytes}`

/** Prints rows as `list --all -o jsonl` does, a thousand lines at once. */
export async function print(rows: readonly Row[]): Promise<void> {
  for (let from = 0; from < rows.length; from += 1000) {
    const lines = rows.slice(from, from + 1000).map((row) => `${JSON.stringify(shown(row))}\n`)
    await new Promise((resolve) => process.stdout.write(lines.join(''), resolve))
  }
}

const instant = (value: Row[string]) => (value === null ? null : new Date(value as string | Date).toISOString())

const facts = (setAt: Row[string], fingerprint: Row[string]) => ({
  set: setAt !== null,
  fingerprint,
  setAt: instant(setAt),
  previousValidUntil: null,
})

const shown = (row: Row) => ({
  id: row.id,
  name: row.name,
  platform: row.platform,
  workspace: row.workspace,
  workspaceId: row.workspaceId,
  isActive: Boolean(row.isActive),
  webhookSecret: facts(row.webhookSetAt ?? null, row.webhookFingerprint ?? null),
  accessToken: facts(row.accessSetAt ?? null, row.accessFingerprint ?? null),
  refreshToken: facts(row.refreshSetAt ?? null, row.refreshFingerprint ?? null),
  tokenExpiresAt: instant(row.tokenExpiresAt ?? null),
  tokenExpiry:
    row.tokenExpiresAt !== null ? 'at' : row.accessSetAt === null ? null : row.neverExpires ? 'never' : 'unknown',
  tokenRefresh: null,
  app: null,
  slackTeamId: row.slackTeamId,
  slackTeamName: row.slackTeamName,
  slackBotUserId: row.slackBotUserId,
  pylonAccountId: row.pylonAccountId,
  config: typeof row.config === 'string' ? JSON.parse(row.config) : row.config,
  lastUsedAt: instant(row.lastUsedAt ?? null),
  createdAt: instant(row.createdAt ?? null),
  createdBy: row.createdBy,
  version: Number(row.version),
  owner: row.owner,
  tags: {},
  note: null,
  lastCheck: row.checkVerdict,
  refusedWebhooks: row.refusedCount,
})
