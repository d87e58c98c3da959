import sql, { join, type Sql } from 'sql-template-tag'
import type { Instant } from '../../brands.ts'
import { type PlatformColumn, type SecretField, secretColumns, type TokenExpiry } from '../../integration.ts'
import type { ColumnKind, Dialect } from '../database/driver.ts'
import { all } from './page.ts'
import type { Presence } from './secret-metadata.ts'

/** Which integrations to list. Conditions combine: a row has to meet all that are given. */
export interface IntegrationFilter {
  readonly workspaceId?: string
  readonly platform?: string
  readonly active?: boolean
  readonly name?: string
  /** A literal part of the name, ASCII case ignored. */
  readonly nameContains?: string
  readonly createdBy?: string
  /** The token expires before this instant, or has an unknown expiry. */
  readonly expiringBefore?: Instant
  /** The token expired before this instant. */
  readonly expiredBefore?: Instant
  /** What is known of when the access token expires; `unknown`: there is a token, or may be; `none`: there is none. */
  readonly expiry?: NonNullable<TokenExpiry> | 'none'
  /** Not used since this instant, never used included. */
  readonly unusedSince?: Instant
  readonly neverUsed?: boolean
  /** null: nobody is named. */
  readonly owner?: string | null
  /** Tags that it has, with these values or, without one, any. */
  readonly tags?: readonly { readonly key: string; readonly value?: string }[]
  /** Of the current value of any of its secrets. */
  readonly fingerprint?: string
  /** Per platform, the secrets without which an integration is incomplete; it lacks one, as far as is known. */
  readonly missingOneOf?: { readonly [platform: string]: readonly SecretField[] }
}

/** An exact way to name integrations. */
export type IntegrationMatch =
  | { readonly by: 'id' | 'idPrefix'; readonly value: string }
  | NameMatch
  | { readonly by: 'ids'; readonly ids: readonly [string, ...string[]] }
  /** Those of a platform that hold one of its identifiers. */
  | { readonly by: 'column'; readonly platform: string; readonly column: PlatformColumn; readonly value: string }
  | {
      readonly by: 'columnIn'
      readonly platform: string
      readonly column: PlatformColumn
      readonly values: readonly [string, ...string[]]
    }

/** A name, or as `path` workspace and name with a slash between them, wherever in the two other slashes are. */
export interface NameMatch {
  readonly by: 'name' | 'path'
  readonly value: string
  /** Those of this platform alone. */
  readonly platform?: string | undefined
  /** Ignore the case of ASCII letters. */
  readonly anyCase?: boolean | undefined
}

/**
 * Whether an integration (`i`) is active: "not false", as the application's column may be null. Written here and nowhere else.
 */
export const active = sql`(i.is_active IS NOT FALSE)`

/** A condition on a column of an integration; a row whose column cannot be read meets it, so that no list loses the row. */
const orMalformed = ({ isMalformed }: Dialect, kind: ColumnKind, column: Sql, condition: Sql) =>
  sql`(${condition} OR ${isMalformed(kind, column)})`

/** What is known of secrets that an application may write. */
export interface Sharing {
  /** The application writes secrets too. */
  readonly shared: boolean
  readonly presence: Presence
}

/** The condition of a filter: a row that cannot be told to fail it meets it. */
export function filterCondition(filter: IntegrationFilter, dialect: Dialect, sharing: Sharing): Sql {
  const { comparableTime, timeLiteral, contains } = dialect
  const conditions: Sql[] = []
  const require = (kind: ColumnKind, column: Sql, condition: Sql) =>
    void conditions.push(orMalformed(dialect, kind, column, condition))
  const requireText = (column: Sql, text: string) => require('text', column, sql`${column} = ${text}`)
  if (filter.workspaceId !== undefined) requireText(sql`i.workspace_id`, filter.workspaceId)
  if (filter.platform !== undefined) requireText(sql`i.platform`, filter.platform)
  if (filter.active !== undefined) require('flag', sql`i.is_active`, filter.active ? active : sql`NOT ${active}`)
  if (filter.name !== undefined) conditions.push(dialect.equals(sql`i.name`, filter.name))
  if (filter.nameContains !== undefined) conditions.push(contains(sql`i.name`, filter.nameContains))
  if (filter.createdBy !== undefined) requireText(sql`i.created_by`, filter.createdBy)
  const requireExpiry = (condition: Sql) => require('time', sql`i.token_expires_at`, condition)
  const expiresAt = comparableTime(sql`i.token_expires_at`)
  if (filter.expiringBefore !== undefined)
    requireExpiry(sql`${expiresAt} <= ${timeLiteral(filter.expiringBefore)} OR ${unknownExpiry(sharing)}`)
  if (filter.expiredBefore !== undefined) requireExpiry(sql`${expiresAt} <= ${timeLiteral(filter.expiredBefore)}`)
  if (filter.expiry !== undefined) requireExpiry(expiryIs(filter.expiry, sharing))
  const requireUse = (condition: Sql) => require('time', sql`i.last_used_at`, condition)
  if (filter.unusedSince !== undefined)
    requireUse(
      sql`i.last_used_at IS NULL OR ${comparableTime(sql`i.last_used_at`)} < ${timeLiteral(filter.unusedSince)}`,
    )
  if (filter.neverUsed) requireUse(sql`i.last_used_at IS NULL`)
  if (filter.fingerprint !== undefined)
    conditions.push(sql`EXISTS (SELECT 1 FROM integration_secrets s WHERE s.integration_id = i.id AND s.valid_until IS NULL
      AND s.fingerprint = ${filter.fingerprint})`)
  if (filter.owner === null) conditions.push(sql`NOT EXISTS (${labels} AND l.key = 'owner')`)
  else if (filter.owner !== undefined) conditions.push(hasLabel(dialect, 'owner', filter.owner))
  for (const { key, value } of filter.tags ?? []) conditions.push(hasLabel(dialect, key, value))
  if (filter.missingOneOf) require('text', sql`i.platform`, missing(filter.missingOneOf, sharing))
  return all(conditions)
}

/** A query for labels of an integration (`i`). */
const labels = sql`SELECT 1 FROM integration_labels l WHERE l.integration_id = i.id`

/** Whether an integration has a label, with this value where one is given. */
function hasLabel(dialect: Dialect, key: string, value?: string): Sql {
  const holds = (column: Sql, text: string) => orMalformed(dialect, 'text', column, sql`${column} = ${text}`)
  const has = sql`${labels} AND ${holds(sql`l.key`, key)}`
  return sql`EXISTS (${value === undefined ? has : sql`${has} AND ${holds(sql`l.value`, value)}`})`
}

/** A query for what is recorded of the current secret of an integration (`i`). */
export const currentSecret = (field: SecretField) =>
  sql`SELECT 1 FROM integration_secrets s WHERE s.integration_id = i.id AND s.field = ${secretColumns[field]} AND s.valid_until IS NULL`

/** There is, or may be, an access token, and its expiry is unknown. */
const unknownExpiry = ({ shared, presence: { has } }: Sharing): Sql =>
  shared || has
    ? sql`(i.token_expires_at IS NULL AND ${has?.('accessToken') ?? sql`1 = 1`} AND NOT EXISTS (${currentSecret('accessToken')} AND s.never_expires))`
    : sql`(i.token_expires_at IS NULL AND (v.version IS NULL OR EXISTS (${currentSecret('accessToken')} AND NOT s.never_expires)))`

function expiryIs(expiry: NonNullable<IntegrationFilter['expiry']>, sharing: Sharing): Sql {
  const token = currentSecret('accessToken')
  const isThere = isKnown('accessToken', sharing)
  switch (expiry) {
    case 'dated':
      return sql`i.token_expires_at IS NOT NULL`
    case 'never':
      return sql`(i.token_expires_at IS NULL AND ${isThere} AND EXISTS (${token} AND s.never_expires))`
    case 'unknown':
      return unknownExpiry(sharing)
    case 'none':
      return sql`(i.token_expires_at IS NULL AND NOT ${unknownExpiry(sharing)} AND NOT ${isThere})`
  }
}

/** Whether a secret is there, as far as is known. */
const isKnown = (field: SecretField, { presence: { has } }: Sharing): Sql =>
  has ? sql`(${has(field)})` : sql`EXISTS (${currentSecret(field)})`

function missing(required: { readonly [platform: string]: readonly SecretField[] }, sharing: Sharing): Sql {
  const cases = Object.entries(required).map(([platform, fields]) => {
    const lacks = fields.map((field) => sql`NOT ${isKnown(field, sharing)}`)
    return sql`(i.platform = ${platform} AND (${join(lacks, ' OR ')}))`
  })
  return sql`(${join(cases, ' OR ')})`
}

const platformColumns = {
  slackTeamId: 'slack_team_id',
  slackTeamName: 'slack_team_name',
  slackBotUserId: 'slack_bot_user_id',
  pylonAccountId: 'pylon_account_id',
} as const satisfies Record<PlatformColumn, string>

/** A platform's identifier of an integration (`i`). */
export const platformColumn = (column: PlatformColumn): Sql => sql([`i.${platformColumns[column]}`])

/** How many slashes of a text are looked at: SQLite takes no statement of a thousand conditions, or of 500 queries. */
const maxSplits = 100

/** What a text may be as workspace and name with a slash between them, or the beginning of that: one for each of the first slashes. */
export const splitsOf = (path: string): { readonly workspace: string; readonly name: string }[] =>
  [...path.matchAll(/\//g)]
    .slice(0, maxSplits)
    .map(({ index }) => ({ workspace: path.slice(0, index), name: path.slice(index + 1) }))

/** The condition that an integration (`i`, in its workspace `w`) is one that is named. */
export function matchCondition(match: IntegrationMatch, dialect: Dialect): Sql {
  const { binaryOrder, equals, equalsInAnyCase, startsWith } = dialect
  const isOf = (platform: string) => orMalformed(dialect, 'text', sql`i.platform`, sql`i.platform = ${platform}`)
  const ofPlatform = (named: Sql, { platform }: NameMatch) =>
    platform === undefined ? named : sql`(${named} AND ${isOf(platform)})`
  switch (match.by) {
    case 'id':
      return sql`i.id = ${match.value}`
    case 'ids':
      return sql`i.id IN (${join(match.ids)})`
    case 'idPrefix':
      return startsWith(sql`i.id`, match.value)
    case 'column':
      return sql`${isOf(match.platform)} AND ${platformColumn(match.column)} = ${match.value}`
    case 'columnIn':
      return sql`${isOf(match.platform)} AND ${platformColumn(match.column)} IN (${join(match.values)})`
    case 'path': {
      const is = match.anyCase ? equalsInAnyCase : (column: Sql, text: string) => sql`${binaryOrder(column)} = ${text}`
      const splits = splitsOf(match.value).map(
        ({ workspace, name }) => sql`(${is(sql`w.name`, workspace)} AND ${is(sql`i.name`, name)})`,
      )
      return splits.length === 0 ? sql`1 = 0` : ofPlatform(sql`(${join(splits, ' OR ')})`, match)
    }
    case 'name':
      return ofPlatform((match.anyCase ? equalsInAnyCase : equals)(sql`i.name`, match.value), match)
  }
}
