/** Labels of integrations: who answers for one, tags, and a note. They stand beside the application's row, never in it. @module */
import sql, { join, type Sql } from 'sql-template-tag'
import type { IntegrationId } from '../../brands.ts'
import type { Damageable } from '../../damage.ts'
import type { Labels } from '../../integration.ts'
import { jsonOf } from '../../json.ts'
import type { WrittenColumns } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** The labels of an integration, as `labelsText` selects them; null where nothing has any. */
export interface LabelRow {
  readonly labels: string | null
}

/** What can be read of labels. */
export interface LabelReader {
  /** The labels of an integration; where one of them cannot be read, none, and the damage says so. */
  of(id: IntegrationId): Promise<Labels & Damageable>
  /** The owners that integrations have, in order and at most `limit`: those that begin with `prefix`. */
  owners(limit: number, prefix: string): Promise<Label[]>
  /** The same of tags, each of which is `key=value`. */
  tags(limit: number, prefix: string): Promise<Label[]>
}

/** A label of some integrations. */
interface Label {
  readonly key: string
  readonly value: string
}

/** What can be changed of labels. */
export interface LabelWriter {
  /** Sets labels of an integration by their keys, or removes those that are null. */
  set(id: IntegrationId, labels: { readonly [key: string]: string | null }): Promise<void>
}

/** How the log names a label among the columns of its integration. */
export const labelColumn = (key: string): string => `integration_labels.${key}`

/** Whether a column is named so. */
export const isLabelColumn = (column: string): boolean => column.startsWith(labelColumn(''))

/** The labels of an integration in one cell, as `joinLabels` takes it. Where nothing has any, which is found out once, a list takes no time for them. */
export const labelsText = ({ jsonRows }: Dialect, id: Sql): Sql =>
  sql`CASE WHEN EXISTS (SELECT 1 FROM integration_labels) THEN ${jsonRows([sql`l.key`, sql`l.value`], labelsOf(id))} END`

const labelsOf = (id: Sql) => sql`integration_labels l WHERE l.integration_id = ${id}`

/** The same as `labelEntries` takes it: without keys that cannot be read, and with null for such a value. */
export const readableLabelsText = ({ jsonRows, isMalformed }: Dialect, id: Sql): Sql =>
  jsonRows(
    [sql`l.key`, sql`CASE WHEN ${isMalformed('text', sql`l.value`)} THEN NULL ELSE l.value END`],
    sql`${labelsOf(id)} AND NOT ${isMalformed('text', sql`l.key`)}`,
  )

/** Keys and values of a cell, in the order of the keys; none of a cell that cannot be read, which stops no change. */
export const labelEntries = (text: string | null): (readonly [key: string, value: string | null])[] =>
  ((jsonOf(text ?? '[]') ?? []) as [string, string | null][]).sort(([a], [b]) => (a < b ? -1 : 1))

/** An integration with its labels. Where one of them cannot be read, none is shown, and the damage says so. */
export function joinLabels<I extends object>(integration: I, { labels, damage }: LabelRow & Damageable): I & Labels {
  const { owner, note, ...tags } =
    labels === null || damage?.includes('labels') ? {} : Object.fromEntries(labelEntries(labels))
  return Object.assign(integration, { owner: owner ?? null, tags: tags as Labels['tags'], note: note ?? null })
}

/** Reads labels. */
export function labelReader(db: Statements, dialect: Dialect): LabelReader {
  const inUse = async (limit: number, condition: Sql) => {
    const order = sql`${dialect.binaryOrder(sql`l.key`)}, ${dialect.binaryOrder(sql`l.value`)}`
    const found = await db.queryAll<Label>(
      { key: sql`l.key`, value: sql`l.value` },
      sql`FROM (SELECT DISTINCT l.key, l.value FROM integration_labels l WHERE ${condition}) l ORDER BY ${order} LIMIT ${limit}`,
    )
    return found.filter(({ damage }) => !damage)
  }
  return {
    async of(id) {
      const [row = { labels: null }] = await db.queryAll<LabelRow>(
        { labels: labelsText(dialect, sql`i.id`) },
        sql`FROM integrations i WHERE i.id = ${id}`,
      )
      return joinLabels<Damageable>(row.damage ? { damage: row.damage } : {}, row)
    },
    owners: (limit, prefix) => inUse(limit, sql`l.key = 'owner' AND ${dialect.startsWith(sql`l.value`, prefix)}`),
    tags: (limit, prefix) =>
      inUse(
        limit,
        sql`l.key NOT IN ('owner', 'note') AND ${dialect.startsWith(sql`(l.key || '=' || l.value)`, prefix)}`,
      ),
  }
}

/** Writes labels, within a transaction. */
export const labelWriter = (tx: Statements, written: WrittenColumns): LabelWriter => ({
  async set(id, labels) {
    const entries = Object.entries(labels)
    const removed = entries.flatMap(([key, value]) => (value === null ? [key] : []))
    const rows = entries.flatMap(([key, value]) => (value === null ? [] : [sql`(${id}, ${key}, ${value})`]))
    if (removed.length > 0)
      await tx.execute(sql`DELETE FROM integration_labels WHERE integration_id = ${id} AND key IN (${join(removed)})`)
    if (rows.length > 0)
      await tx.execute(sql`INSERT INTO integration_labels (integration_id, key, value) VALUES ${join(rows)}
        ON CONFLICT (integration_id, key) DO UPDATE SET value = excluded.value`)
    written.add('integration', id, ...entries.map(([key]) => labelColumn(key)))
  },
})
