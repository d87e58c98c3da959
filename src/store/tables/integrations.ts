import sql, { join, type Sql } from 'sql-template-tag'
import {
  type Instant,
  type IntegrationConfig,
  type IntegrationInsert,
  type IntegrationView,
  type Json,
  type PlatformColumn,
  type SecretFacts,
  type SecretField,
  secretColumns,
  sortKeys,
  type TokenExpiry,
} from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'
import { all, countRows, type Page, readPage, type Source } from './page.ts'
import { type AttemptState, leased, tokenRefreshOf } from './refresh-attempts.ts'
import { expiryOf, type SecretSummary, secretFacts, secretFactsText } from './secret-metadata.ts'
import type { integrationSorts } from './sorts.ts'

/** Which integrations to list. Conditions combine: a row has to meet all that are given. */
export interface IntegrationFilter {
  readonly workspaceId?: string
  readonly platform?: string
  readonly active?: boolean
  /** A literal part of the name, ASCII case ignored. */
  readonly nameContains?: string
  readonly createdBy?: string
  /** The token ends before this instant, or nobody knows when. */
  readonly expiringBefore?: Instant
  /** The token ended before this instant. */
  readonly expiredBefore?: Instant
  readonly noExpiry?: boolean
  /** There is a token, or may be, and nobody knows when it ends. */
  readonly unknownExpiry?: boolean
  /** Not used since this instant, never used included. */
  readonly unusedSince?: Instant
  readonly neverUsed?: boolean
  /** Per platform, the secrets without which an integration is incomplete; it lacks one, as far as is known. */
  readonly missingOneOf?: { readonly [platform: string]: readonly SecretField[] }
}

/** An exact way to name integrations. */
export type IntegrationMatch =
  | { readonly id: string }
  | { readonly ids: readonly [string, ...string[]] }
  | { readonly name: string }
  /** Workspace and name with a slash between them, wherever in the two other slashes are. */
  | { readonly path: string }
  | { readonly idPrefix: string }
  /** Those of a platform that hold one of its identifiers. */
  | { readonly platform: string; readonly column: PlatformColumn; readonly value: string }

/** What can be changed of an integration besides its secrets; a null clears. */
export type IntegrationChange = {
  readonly name?: string
  readonly isActive?: boolean
  readonly createdBy?: string | null
  readonly config?: IntegrationConfig | null
  readonly tokenExpiresAt?: Instant | null
} & { readonly [C in PlatformColumn]?: string | null }

const platformColumns = {
  slackTeamId: 'slack_team_id',
  slackTeamName: 'slack_team_name',
  slackBotUserId: 'slack_bot_user_id',
  pylonAccountId: 'pylon_account_id',
} as const satisfies Record<PlatformColumn, string>

/** A page that is everything. */
const whole: Page = { sort: 'id', descending: false }

interface Row {
  id: string
  workspaceId: string
  workspace: string
  platform: string
  name: string
  tokenExpiresAt: Instant | null
  slackTeamId: string | null
  slackTeamName: string | null
  slackBotUserId: string | null
  pylonAccountId: string | null
  isActive: boolean | number | bigint
  config: string | null
  lastUsedAt: Instant | null
  createdAt: Instant
  createdBy: string | null
  version: bigint | number
  app: string | null
  attemptState: AttemptState | null
  oldFingerprint: string | null
  leased: boolean | number | bigint | null
  secrets: string | null
}

/**
 * Whether an integration (`i`) is active: "not false", as the application's column may be null. Written here and nowhere else.
 */
export const active = sql`(i.is_active IS NOT FALSE)`

/** The queries about integrations. `shared`: the application writes secrets too. */
export function integrationRows(db: Statements, dialect: Dialect, shared: boolean) {
  const source = integrationSource(dialect)
  const complete = (rows: readonly Row[]) => rows.map((row) => toIntegration(row, shared))

  async function select(where: Sql, limit: number): Promise<IntegrationView[]> {
    const rows = await db.query<Row>(sql`SELECT ${source.columns} FROM ${source.from} WHERE ${where}
      ORDER BY ${dialect.binaryOrder(sql`w.name`)}, ${dialect.binaryOrder(sql`i.name`)}, ${dialect.binaryOrder(sql`i.id`)} LIMIT ${limit}`)
    return complete(rows)
  }

  return {
    /** Hands on the integrations of a page, in order. */
    list: (filter: IntegrationFilter, page: Page, onRows: (rows: IntegrationView[]) => Promise<void>): Promise<void> =>
      readPage<Row>(db, dialect, source, condition(filter, dialect, shared), page, (rows) => onRows(complete(rows))),

    /** How many integrations a filter leaves, from where the page begins. */
    count: (filter: IntegrationFilter, page: Page = whole): Promise<number> =>
      countRows(db, dialect, source, condition(filter, dialect, shared), page),

    /** The integrations that a name or id stands for, at most `limit`. */
    match: (match: IntegrationMatch, limit: number): Promise<IntegrationView[]> =>
      select(matching(match, dialect), limit),

    /** Names and ids for suggestions and completion, in order; with `prefix`, those whose `workspace/name` or id begins so. */
    names: (limit: number, prefix = ''): Promise<{ id: string; name: string; workspace: string }[]> => {
      const begins = (text: Sql) => sql`substr(${text}, 1, ${[...prefix].length}) = ${prefix}`
      return db.query(sql`SELECT i.id, i.name, w.name AS workspace FROM integrations i JOIN workspaces w ON w.id = i.workspace_id
        WHERE ${begins(sql`w.name || '/' || i.name`)} OR ${begins(sql`i.id`)}
        ORDER BY ${dialect.binaryOrder(sql`w.name`)}, ${dialect.binaryOrder(sql`i.name`)} LIMIT ${limit}`)
    },

    /** Whether a workspace has an integration of this platform and name, other than `except`. */
    async exists(workspaceId: string, platform: string, name: string, except = ''): Promise<boolean> {
      const rows = await db.query<unknown>(sql`SELECT 1 FROM integrations
        WHERE workspace_id = ${workspaceId} AND platform = ${platform} AND name = ${name} AND id <> ${except}`)
      return rows.length > 0
    },

    /** The stored text of the config: what JavaScript makes of it may have lost digits. */
    async configText(id: string): Promise<string | null> {
      const [row] = await db.query<{ config: string | null }>(
        sql`SELECT ${dialect.asText(sql`config`)} AS config FROM integrations WHERE id = ${id}`,
      )
      return row?.config ?? null
    },
  }
}

/** What changes integrations, within a transaction. */
export function integrationChanges(tx: WritableStatements, dialect: Dialect) {
  return {
    /** Keeps the application from changing an integration until the transaction ends. */
    async lock(id: string): Promise<void> {
      await tx.query(sql`SELECT 1 FROM integrations WHERE id = ${id} ${dialect.lock}`)
    },

    /** Inserts an integration without its secrets. */
    async insert(id: string, { config, tokenExpiresAt, ...columns }: IntegrationInsert, now: Date): Promise<void> {
      await tx.models.integration.create({
        data: {
          id,
          ...columns,
          tokenExpiresAt: date(tokenExpiresAt),
          createdAt: now,
          ...(config === null ? {} : { config }),
        },
        select: { id: true },
      })
    },

    /** Changes columns other than secrets. */
    async update(id: string, { config, tokenExpiresAt, ...columns }: IntegrationChange): Promise<void> {
      if (config === null) await tx.execute(sql`UPDATE integrations SET config = NULL WHERE id = ${id}`)
      const data = {
        ...columns,
        ...(config ? { config } : {}),
        ...(tokenExpiresAt === undefined ? {} : { tokenExpiresAt: date(tokenExpiresAt) }),
      }
      if (Object.keys(data).length > 0) await tx.models.integration.updateMany({ where: { id }, data })
    },

    /**
     * Raises the version, provided that it still is what was read.
     *
     * @returns whether it was
     */
    async raiseVersion(id: string, from: number, now: Date): Promise<boolean> {
      const changed =
        await tx.execute(sql`INSERT INTO integration_versions (integration_id, version, updated_at) VALUES (${id}, ${from + 1}, ${now})
        ON CONFLICT (integration_id) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at
        WHERE integration_versions.version = ${from}`)
      return changed === 1
    },

    /** Deletes an integration, and with it all that this tool keeps about it. */
    async remove(id: string): Promise<void> {
      await tx.models.integration.deleteMany({ where: { id } })
    },
  }
}

const date = (instant: Instant | null): Date | null => (instant === null ? null : new Date(instant))

function integrationSource(dialect: Dialect): Source {
  const { toRfc3339, comparableTime, binaryOrder, asText } = dialect
  return {
    columns: sql`i.id, i.workspace_id AS "workspaceId", w.name AS workspace, i.platform, i.name,
      ${toRfc3339(sql`i.token_expires_at`)} AS "tokenExpiresAt", i.slack_team_id AS "slackTeamId", i.slack_team_name AS "slackTeamName",
      i.slack_bot_user_id AS "slackBotUserId", i.pylon_account_id AS "pylonAccountId", ${active} AS "isActive", ${asText(sql`i.config`)} AS config,
      ${toRfc3339(sql`i.last_used_at`)} AS "lastUsedAt", ${toRfc3339(sql`i.created_at`)} AS "createdAt", i.created_by AS "createdBy",
      COALESCE(v.version, 0) AS version, a.name AS app, r.state AS "attemptState", r.old_fingerprint AS "oldFingerprint",
      ${leased(dialect)} AS leased, ${secretFactsText(dialect, sql`i.id`)} AS secrets`,
    from: sql`integrations i JOIN workspaces w ON w.id = i.workspace_id LEFT JOIN integration_versions v ON v.integration_id = i.id
      LEFT JOIN integration_apps a ON a.id = v.app_id LEFT JOIN integration_refresh_attempts r ON r.integration_id = i.id`,
    id: sql`i.id`,
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
  }
}

function condition(filter: IntegrationFilter, dialect: Dialect, shared: boolean): Sql {
  const { comparableTime, timeLiteral, contains } = dialect
  const conditions: Sql[] = []
  if (filter.workspaceId !== undefined) conditions.push(sql`i.workspace_id = ${filter.workspaceId}`)
  if (filter.platform !== undefined) conditions.push(sql`i.platform = ${filter.platform}`)
  if (filter.active !== undefined) conditions.push(filter.active ? active : sql`NOT ${active}`)
  if (filter.nameContains !== undefined) conditions.push(contains(sql`i.name`, filter.nameContains))
  if (filter.createdBy !== undefined) conditions.push(sql`i.created_by = ${filter.createdBy}`)
  const expiresAt = comparableTime(sql`i.token_expires_at`)
  if (filter.expiringBefore !== undefined)
    conditions.push(sql`(${expiresAt} <= ${timeLiteral(filter.expiringBefore)} OR ${unknownExpiry(shared)})`)
  if (filter.unknownExpiry) conditions.push(unknownExpiry(shared))
  if (filter.expiredBefore !== undefined) conditions.push(sql`${expiresAt} <= ${timeLiteral(filter.expiredBefore)}`)
  if (filter.noExpiry) conditions.push(sql`i.token_expires_at IS NULL`)
  if (filter.unusedSince !== undefined)
    conditions.push(
      sql`(i.last_used_at IS NULL OR ${comparableTime(sql`i.last_used_at`)} < ${timeLiteral(filter.unusedSince)})`,
    )
  if (filter.neverUsed) conditions.push(sql`i.last_used_at IS NULL`)
  if (filter.missingOneOf) conditions.push(missing(filter.missingOneOf))
  return all(conditions)
}

const currentSecret = (field: SecretField) =>
  sql`SELECT 1 FROM integration_secrets s WHERE s.integration_id = i.id AND s.field = ${secretColumns[field]} AND s.valid_until IS NULL`

/** There is, or may be, an access token, and nobody said when it ends, or that it never does. */
const unknownExpiry = (shared: boolean): Sql =>
  shared
    ? sql`(i.token_expires_at IS NULL AND NOT EXISTS (${currentSecret('accessToken')} AND s.never_expires))`
    : sql`(i.token_expires_at IS NULL AND (v.version IS NULL OR EXISTS (${currentSecret('accessToken')} AND NOT s.never_expires)))`

function missing(required: { readonly [platform: string]: readonly SecretField[] }): Sql {
  const cases = Object.entries(required).map(([platform, fields]) => {
    const lacks = fields.map((field) => sql`NOT EXISTS (${currentSecret(field)})`)
    return sql`(i.platform = ${platform} AND (${join(lacks, ' OR ')}))`
  })
  return sql`(${join(cases, ' OR ')})`
}

function matching(match: IntegrationMatch, { binaryOrder }: Dialect): Sql {
  if ('id' in match) return sql`i.id = ${match.id}`
  if ('ids' in match) return sql`i.id IN (${join(match.ids)})`
  if ('idPrefix' in match)
    return sql`substr(${binaryOrder(sql`i.id`)}, 1, ${[...match.idPrefix].length}) = ${match.idPrefix}`
  if ('column' in match)
    return sql`i.platform = ${match.platform} AND ${sql([`i.${platformColumns[match.column]}`])} = ${match.value}`
  if ('path' in match) return sql`w.name || '/' || i.name = ${match.path}`
  return sql`i.name = ${match.name}`
}

function toIntegration(row: Row, shared: boolean): IntegrationView {
  const secrets = secretFacts(row.secrets)
  // The application wrote the row, or may have written to it, and nobody has read its secrets yet.
  const unread = shared || Number(row.version) === 0
  const facts = (field: SecretField): SecretFacts => {
    const secret = secrets.get(field)
    return {
      set: secret?.current ? true : unread ? null : false,
      fingerprint: secret?.current?.fingerprint ?? null,
      setAt: secret?.current?.setAt ?? null,
      previousValidUntil: secret?.previousValidUntil ?? null,
    }
  }
  const token = secrets.get('accessToken')?.current
  return {
    id: row.id,
    workspaceId: row.workspaceId,
    workspace: row.workspace,
    platform: row.platform,
    name: row.name,
    webhookSecret: facts('webhookSecret'),
    accessToken: facts('accessToken'),
    refreshToken: facts('refreshToken'),
    tokenExpiresAt: row.tokenExpiresAt,
    tokenExpiry: tokenExpiry(row.tokenExpiresAt, token, unread),
    tokenRefresh: tokenRefreshOf(attemptOf(row), secrets.get('refreshToken')?.current?.fingerprint ?? null),
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
    version: Number(row.version),
  }
}

const attemptOf = ({ attemptState: state, oldFingerprint, leased }: Row) =>
  state === null || oldFingerprint === null ? null : { state, oldFingerprint, leased: Boolean(leased) }

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

function tokenExpiry(expiresAt: Instant | null, token: SecretSummary['current'], unread: boolean): TokenExpiry {
  if (expiresAt === null && !token) return unread ? 'unknown' : null
  return expiryOf(expiresAt, token?.neverExpires ?? false)
}
