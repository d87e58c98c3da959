import sql, { empty, join, raw, type Sql } from 'sql-template-tag'
import type { Instant, IntegrationId } from '../../brands.ts'
import { columnName, type Damageable } from '../../damage.ts'
import {
  entriesOf,
  type IntegrationInsert,
  type IntegrationView,
  type ListedIntegration,
  type PlatformColumn,
} from '../../integration.ts'
import type { JsonObject } from '../../json.ts'
import { type HealthRow, healthText, joinHealth } from '../activity/health.ts'
import { type WrittenColumns, wholeRow } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import { insertRow } from '../database/insert.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'
import {
  filterCondition,
  type IntegrationFilter,
  type IntegrationMatch,
  matchCondition,
  type Sharing,
  splitsOf,
} from './integration-filter.ts'
import { type IntegrationRow, integrationSource, toIntegration } from './integration-rows.ts'
import { joinLabels, type LabelRow, labelsText } from './labels.ts'
import { type ListReader, listReader } from './page.ts'

/** What can be changed of an integration besides its secrets; a null clears. */
export type IntegrationChange = {
  readonly name?: string
  readonly isActive?: boolean
  readonly createdBy?: string | null
  readonly config?: JsonObject | null
  readonly tokenExpiresAt?: Instant | null
} & { readonly [C in PlatformColumn]?: string | null }

/** What a webhook may name an integration by. */
export type NamedIntegration = Pick<IntegrationView, 'id' | 'platform' | PlatformColumn>

/** The longest name that is suggested, in bytes. */
const longestName = 1000

/** An integration that the application has deleted. */
export interface GoneIntegration {
  readonly id: string
  readonly name: string | null
}

/**
 * The tables of what is kept about an integration. Their rows go with it by foreign keys, but where the application shows
 * its integrations as a view, or deletes in SQLite without foreign keys.
 */
export const tablesOfIntegrations = [
  'integration_versions',
  'integration_secrets',
  'integration_refresh_attempts',
  'integration_config_revisions',
  'integration_health',
  'integration_labels',
] as const

/** What can be read of integrations; no secret is. */
export interface IntegrationReader extends ListReader<IntegrationFilter, IntegrationView> {
  /** The same with their health and labels, which not every role may read. */
  readonly listed: ListReader<IntegrationFilter, ListedIntegration>
  /** Says of an integration what lists say of it, too. */
  asListed(integration: IntegrationView): Promise<ListedIntegration>
  /** The integrations that a name or id stands for, in order, at most `limit`: the first ones, of a tenant any. @throws RowsTooLong */
  match(match: IntegrationMatch, limit: number): Promise<IntegrationView[]>
  /** The ids of the same. */
  idsOf(match: IntegrationMatch, limit: number): Promise<IntegrationId[]>
  /**
   * The first integrations of a workspace, by name and without their configs, as many as a page has and at most `limit`, and
   * whether there are others. None whose id or workspace cannot be read.
   */
  within(workspaceId: string, limit: number): Promise<{ integrations: IntegrationView[]; hasMore: boolean }>
  /** What webhooks name the integrations by that were used last, at most `limit`, these first. */
  lastUsed(limit: number): Promise<NamedIntegration[]>
  /** Names and ids for suggestions and completion, in order; with `prefix`, those whose `workspace/name`, name or id begins so. */
  names(limit: number, prefix?: string): Promise<{ id: IntegrationId; name: string; workspace: string }[]>
  /**
   * The ids of the integrations of a workspace that have this platform and name, other than `except`, in order and at most
   * `limit`. An application may have given it to several.
   */
  named(
    integration: { workspaceId: string; platform: string; name: string; except?: IntegrationId },
    limit: number,
  ): Promise<IntegrationId[]>
  /** The integrations that are gone, of which this tool keeps something, with their last names where the log tells them. */
  gone(): Promise<GoneIntegration[]>
  /** The stored text of the config: what JavaScript makes of it may have lost digits. */
  configText(id: IntegrationId): Promise<string | null>
}

/** What can be changed of integrations; secrets have a writer of their own. */
export interface IntegrationWriter {
  /** Keeps the application from changing an integration until the transaction ends. */
  lock(id: IntegrationId): Promise<void>
  /** Inserts an integration without its secrets. */
  insert(id: IntegrationId, integration: IntegrationInsert, now: Date): Promise<void>
  /** Changes columns other than secrets. */
  update(id: IntegrationId, change: IntegrationChange): Promise<void>
  /** Raises the version, provided that it still is what was read. @returns whether it was */
  raiseVersion(id: IntegrationId, from: number, now: Date): Promise<boolean>
  /** Deletes integrations, and with them all that this tool keeps about them. */
  remove(...ids: readonly IntegrationId[]): Promise<void>
  /** Deletes all that this tool keeps about integrations that are gone. */
  forget(...ids: readonly string[]): Promise<void>
}

/** Reads integrations with what is kept beside them for lists. */
function listedReader({
  source,
  toRow,
  ...from
}: Parameters<typeof listReader<IntegrationFilter, IntegrationRow, IntegrationView>>[0]): Pick<
  IntegrationReader,
  'listed' | 'asListed'
> {
  const { db, dialect } = from
  type BesideRow = HealthRow & LabelRow & Damageable
  const beside = { health: healthText(dialect, sql`i.id`), labels: labelsText(dialect, sql`i.id`) }
  const withBeside = (integration: IntegrationView, row: BesideRow) => joinLabels(joinHealth(integration, row), row)
  return {
    listed: listReader({
      ...from,
      source: { ...source, columns: { ...source.columns, ...beside } },
      toRow: (row: IntegrationRow & BesideRow) => withBeside(toRow(row), row),
    }),
    async asListed(integration) {
      const [row = { health: null, labels: null }] = await db.queryAll<BesideRow>(
        beside,
        sql`FROM integrations i WHERE i.id = ${integration.id}`,
      )
      const damage = [...(integration.damage ?? []), ...(row.damage ?? [])]
      return withBeside(damage.length > 0 ? { ...integration, damage } : integration, row)
    },
  }
}

/** Reads integrations. */
export function integrationReader(db: Statements, dialect: Dialect, sharing: Sharing): IntegrationReader {
  const { binaryOrder, asText, comparableTime, equals, startsWith, isMalformed } = dialect
  const source = integrationSource(dialect, sharing.presence)
  const toRow = (row: IntegrationRow & Damageable) => toIntegration(row, sharing.shared)
  const condition = (filter: IntegrationFilter) => filterCondition(filter, dialect, sharing)
  const order = sql`${binaryOrder(sql`w.name`)}, ${binaryOrder(sql`i.name`)}, ${binaryOrder(sql`i.id`)}`
  const matching = (match: IntegrationMatch): Sql => sql`FROM ${source.from} WHERE ${matchCondition(match, dialect)}`
  const inOrder = sql`ORDER BY ${order}`
  return {
    ...listReader({ db, dialect, source, condition, toRow }),
    ...listedReader({ db, dialect, source, condition, toRow }),
    async match(match, limit) {
      // Strangers can ask for a tenant that has many, for which sorting takes long.
      const first = match.by === 'column' || match.by === 'columnIn' ? empty : inOrder
      const ids = sql`SELECT i.id ${matching(match)} ${first} LIMIT ${limit}`
      const named = sql`FROM (${ids}) named CROSS JOIN ${source.columnsFrom()} WHERE i.id = named.id ${inOrder}`
      return (await db.queryAll(source.columns, named)).map(toRow)
    },
    async idsOf(match, limit) {
      const rows = await db.queryAll<{ id: IntegrationId }>(
        { id: sql`i.id` },
        sql`${matching(match)} ${inOrder} LIMIT ${limit}`,
      )
      return rows.map(({ id }) => id)
    },
    async within(workspaceId, limit) {
      const order = sql`${binaryOrder(sql`i.name`)}, ${binaryOrder(sql`i.id`)}`
      const ids = sql`SELECT i.id FROM integrations i WHERE i.workspace_id = ${workspaceId} AND NOT ${isMalformed('text', sql`i.id`)}
        ORDER BY ${order} LIMIT ${limit + 1}`
      const { rows, after } = await db.queryPage<IntegrationRow>(
        { ...source.columns, config: sql`CAST(NULL AS TEXT)` },
        sql`FROM (${ids}) named CROSS JOIN ${source.columnsFrom()} WHERE i.id = named.id ORDER BY ${order}`,
      )
      return { integrations: rows.slice(0, limit).map(toRow), hasMore: after > 0 || rows.length > limit }
    },
    async lastUsed(limit) {
      const { id, platform, slackTeamId, slackTeamName, slackBotUserId, pylonAccountId } = source.columns
      const rows = await db.queryAll<NamedIntegration>(
        { id, platform, slackTeamId, slackTeamName, slackBotUserId, pylonAccountId },
        sql`FROM integrations i WHERE i.last_used_at IS NOT NULL ORDER BY ${comparableTime(sql`i.last_used_at`)} DESC LIMIT ${limit}`,
      )
      return rows.filter(({ damage }) => !damage)
    },
    async names(limit, prefix = '') {
      const order = sql`${binaryOrder(sql`w.name`)}, ${binaryOrder(sql`i.name`)}`
      const from = sql`workspaces w JOIN integrations i ON i.workspace_id = w.id`
      const ids = (condition: Sql, order: Sql) =>
        sql`SELECT id FROM (SELECT i.id FROM ${from} WHERE octet_length(i.name) < ${longestName} AND octet_length(w.name) < ${longestName}
        AND ${condition} ORDER BY ${order} LIMIT ${limit}) part`
      const parts = [
        ids(startsWith(sql`w.name`, prefix), order),
        ...splitsOf(prefix).map(({ workspace, name }) =>
          ids(sql`${binaryOrder(sql`w.name`)} = ${workspace} AND ${startsWith(sql`i.name`, name)}`, order),
        ),
        ...(prefix === ''
          ? []
          : [
              ids(startsWith(sql`i.name`, prefix), sql`${binaryOrder(sql`i.name`)}, ${binaryOrder(sql`i.id`)}`),
              ids(startsWith(sql`i.id`, prefix), binaryOrder(sql`i.id`)),
            ]),
      ]
      const rows = await db.queryAll<{ id: IntegrationId; name: string; workspace: string }>(
        { id: sql`i.id`, name: sql`i.name`, workspace: sql`w.name` },
        sql`FROM (${join(parts, ' UNION ')}) named CROSS JOIN ${from} WHERE i.id = named.id ORDER BY ${order} LIMIT ${limit}`,
      )
      return rows.filter(({ damage }) => !damage)
    },
    async named({ workspaceId, platform, name, except = '' }, limit) {
      const rows = await db.query<{ id: IntegrationId }>(
        { id: sql`i.id` },
        sql`FROM integrations i WHERE i.workspace_id = ${workspaceId} AND i.platform = ${platform} AND ${equals(sql`i.name`, name)} AND i.id <> ${except}
          ORDER BY ${binaryOrder(sql`i.id`)} LIMIT ${limit}`,
      )
      return rows.map(({ id }) => id)
    },
    async gone() {
      const kept = tablesOfIntegrations.map((table) => sql`SELECT integration_id AS id FROM ${raw(table)}`)
      return db.queryAll<GoneIntegration>(
        {
          id: sql`k.id`,
          name: sql`(SELECT e.target_name FROM integration_events e WHERE e.target_id = k.id AND e.target_type = 'integration'
            AND e.target_name IS NOT NULL ORDER BY e.seq DESC LIMIT 1)`,
        },
        sql`FROM (${join(kept, ' UNION ')}) k WHERE NOT EXISTS (SELECT 1 FROM integrations i WHERE i.id = k.id) ORDER BY ${binaryOrder(sql`k.id`)}`,
      )
    },
    async configText(id) {
      const [row] = await db.query<{ id: string; config: string | null }>(
        { id: sql`i.id`, config: asText(sql`i.config`) },
        sql`FROM integrations i WHERE i.id = ${id}`,
      )
      return row?.config ?? null
    },
  }
}

/** How many values one statement names. */
const forgottenAtOnce = 500

/** What is written for a field. @param nothing for no config, which is the column that an application may give a default */
function storedAs(field: keyof IntegrationChange, value: string | boolean | JsonObject | null, nothing: Sql) {
  if (value === null) return field === 'config' ? nothing : null
  if (field === 'tokenExpiresAt') return new Date(String(value))
  return typeof value === 'object' ? JSON.stringify(value) : value
}

/** Changes integrations, within a transaction. */
export function integrationWriter(
  tx: WritableStatements,
  dialect: Dialect,
  written: WrittenColumns,
): IntegrationWriter {
  const forget = async (...ids: readonly string[]) => {
    for (let i = 0; i < ids.length; i += forgottenAtOnce)
      for (const table of tablesOfIntegrations) {
        const kept = sql`FROM ${raw(table)} WHERE integration_id IN (${join(ids.slice(i, i + forgottenAtOnce))})`
        // Where a foreign key has done it, no right to delete is needed.
        if (await tx.some(sql`${kept} LIMIT 1`)) await tx.execute(sql`DELETE ${kept}`)
      }
  }
  return {
    async lock(id) {
      if (dialect.lock) await tx.some(sql`FROM integrations WHERE id = ${id} ${dialect.lock}`)
    },
    async insert(id, { config, tokenExpiresAt, ...columns }, now) {
      // None is what the column has by default.
      const given = config && { config: JSON.stringify(config) }
      const expiry = tokenExpiresAt && new Date(tokenExpiresAt)
      await insertRow(tx, 'integrations', { id, ...columns, ...given, tokenExpiresAt: expiry, createdAt: now })
      written.add('integration', id, wholeRow)
    },
    async update(id, change) {
      const values = entriesOf(change).filter(([, value]) => value !== undefined)
      if (values.length === 0) return
      const set = values.map(
        ([field, value]) => sql`${sql([columnName(field)])} = ${storedAs(field, value ?? null, dialect.nothing)}`,
      )
      await tx.execute(sql`UPDATE integrations SET ${join(set)} WHERE id = ${id}`)
      written.add('integration', id, ...values.map(([field]) => columnName(field)))
    },
    async raiseVersion(id, from, now) {
      const changed =
        await tx.execute(sql`INSERT INTO integration_versions (integration_id, version, updated_at) VALUES (${id}, ${from + 1}, ${now})
        ON CONFLICT (integration_id) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at
        WHERE integration_versions.version = ${from}`)
      written.add('integration', id, 'integration_versions.version')
      return changed === 1
    },
    async remove(...ids) {
      if (ids.length > 0) await tx.execute(sql`DELETE FROM integrations WHERE id IN (${join(ids)})`)
      await forget(...ids)
    },
    forget,
  }
}
