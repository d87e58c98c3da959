import sql, { empty, join, type Sql } from 'sql-template-tag'
import type { Fingerprint, IntegrationId } from '../../brands.ts'
import { keyIdOf } from '../../crypto/jwe-format.ts'
import { type SecretField, secretColumns, secretFields } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import type { EncryptionMode } from '../tables/keys.ts'
import type { SecretVersion } from '../tables/secret-metadata.ts'

/** A version of a secret, as it is recorded. */
export type KnownVersion = Pick<SecretVersion, 'number' | 'fingerprint' | 'keyId'>

/** A secret as it is stored: what the application's column holds, or a value before that one which is kept for a while. */
export interface StoredValue {
  /** Of the integration. */
  readonly id: IntegrationId
  /** The workspace and name of the integration. */
  readonly name: string
  readonly field: SecretField
  readonly current: boolean
  /** null: the column is empty; where there is a version, the application has cleared it since it was last read. */
  readonly text: string | null
  /** The key that encrypts the text; null for a plain one. */
  readonly keyId: string | null
  /** null: there is no value, or the application has written it and it is not recorded yet. */
  readonly version: KnownVersion | null
}

/** The stored values of some integrations: of every field the current one, and those before it. */
export interface StoredPage {
  readonly values: readonly StoredValue[]
  readonly integrations: number
  /** The id to go on after; absent at the end. */
  readonly next?: IntegrationId
}

/** Stands for a stored value that cannot be read whole. No text that can be has a zero character, on either database. */
export const unreadable = '\0'

/** A text column, for a SELECT, as `readableText` takes it. */
export const readableColumn = ({ isUnreadable }: Dialect, column: Sql, name: string): Sql =>
  sql`CASE WHEN ${isUnreadable(column)} THEN NULL ELSE ${column} END AS ${sql([`"${name}"`])}, ${isUnreadable(column)} AS ${sql([`"${name}Unreadable"`])}`

/** The text of such a column; `unreadable` in place of one that cannot be read whole. */
export const readableText = (row: { readonly [name: string]: unknown }, name: string): string | null =>
  row[`${name}Unreadable`] ? unreadable : (row[name] as string | null)

/** How many integrations a page has: what others wait for while it is written takes a few tenths of a second. */
const integrationsPerPage = 100

/**
 * The key that encrypts what a column holds; null for none. What only looks encrypted is not: the application may
 * store what it likes while it may store at all.
 *
 * @param recorded the key that its version is recorded with
 */
export const encryptedBy = (text: string, recorded: string | null): string | null =>
  recorded === null ? null : (keyIdOf(text) ?? null)

/** Whether a value is encrypted as the mode asks: current ones plain in `off`, all others with the active key. */
export function isAsModeAsks(
  { current, text, keyId, version }: StoredValue,
  mode: EncryptionMode,
  activeKey: string | null,
): boolean {
  const wanted = current && mode === 'off' ? null : activeKey
  return text === null || (keyId === wanted && (version?.keyId ?? null) === wanted)
}

interface VersionRow {
  readonly [column: string]: unknown
  readonly id: IntegrationId
  readonly column: string
  readonly number: number | bigint
  readonly fingerprint: Fingerprint | null
  readonly keyId: string | null
  readonly current: boolean | number | bigint
}

/** What can be read of secrets as they are stored, not decrypted. */
export interface StoredValueReader {
  /** The stored values of the next integrations in the order of their ids, after one. */
  page(after?: IntegrationId): Promise<StoredPage>
  /** All of them, a page at a time. */
  pages(): AsyncIterable<StoredPage>
}

/** Reads secrets as they are stored. */
export function storedValueReader(db: Statements, dialect: Dialect): StoredValueReader {
  const { comparableTime, now } = dialect
  const columns = secretFields.map((field) => readableColumn(dialect, sql([`i.${secretColumns[field]}`]), field))

  async function page(after?: IntegrationId): Promise<StoredPage> {
    const rows = await db.query<{ id: IntegrationId; name: string; [column: string]: unknown }>(
      sql`SELECT i.id, w.name || '/' || i.name AS name, ${join(columns)} FROM integrations i JOIN workspaces w ON w.id = i.workspace_id
          ${after === undefined ? empty : sql`WHERE i.id > ${after}`} ORDER BY i.id LIMIT ${integrationsPerPage}`,
    )
    const last = rows.at(-1)?.id
    if (last === undefined) return { values: [], integrations: 0 }
    const versions = await db.query<VersionRow>(
      sql`SELECT s.integration_id AS id, s.field AS "column", s.number, s.fingerprint, s.key_id AS "keyId",
          ${readableColumn(dialect, sql`s.sealed`, 'sealed')}, s.valid_until IS NULL AS current FROM integration_secrets s WHERE s.integration_id IN (${join(rows.map(({ id }) => id))})
          AND (s.valid_until IS NULL OR (s.sealed IS NOT NULL AND ${comparableTime(sql`s.valid_until`)} > ${comparableTime(now)}))`,
    )
    const ofIntegration = new Map<string, VersionRow[]>(rows.map(({ id }) => [id, []]))
    for (const version of versions) ofIntegration.get(version.id)?.push(version)
    const values = rows.flatMap((row) =>
      secretFields.flatMap((field) =>
        valuesOf({ ...row, field, text: readableText(row, field) }, ofIntegration.get(row.id) ?? []),
      ),
    )
    return { values, integrations: rows.length, ...(rows.length < integrationsPerPage ? {} : { next: last }) }
  }

  return {
    page,
    async *pages() {
      for (let next: StoredPage | undefined; next === undefined || next.next !== undefined; ) {
        next = await page(next?.next)
        yield next
      }
    },
  }
}

function valuesOf(
  { id, name, field, text }: Pick<StoredValue, 'id' | 'name' | 'field' | 'text'>,
  versions: readonly VersionRow[],
): StoredValue[] {
  const own = versions.filter(({ column }) => column === secretColumns[field])
  const known = own.find(({ current }) => Boolean(current))
  const previous = own.filter((row) => row !== known && readableText(row, 'sealed') !== null)
  const value = (row: VersionRow | undefined, text: string | null): StoredValue => ({
    id,
    name,
    field,
    current: row === known,
    text,
    keyId: text === null ? null : encryptedBy(text, row?.keyId ?? null),
    version: row ? { number: Number(row.number), fingerprint: row.fingerprint, keyId: row.keyId } : null,
  })
  return [value(known, text), ...previous.map((row) => value(row, readableText(row, 'sealed')))]
}
