import sql, { empty, join } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import { keyIdOf } from '../../crypto/jwe-format.ts'
import { type Damageable, refuseDamaged } from '../../damage.ts'
import { refOf, type SecretField, secretColumns, secretFields } from '../../integration.ts'
import { nextRows, pageBytes, rowsPerPage } from '../database/cells.ts'
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
  /** Until when it is accepted; null for a current value. */
  readonly validUntil: Instant | null
}

/** Where a page begins. */
export interface StoredCursor {
  readonly after: IntegrationId
  /** How many integrations the page may have. */
  readonly most: number
}

/** The stored values of some integrations: of every field the current one, and those before it. */
export interface StoredPage {
  readonly values: readonly StoredValue[]
  readonly integrations: number
  /** Where to go on; absent at the end. */
  readonly next?: StoredCursor
}

/** Stands for a stored value that cannot be read whole. No text that can be has a zero character, on either database. */
export const unreadable = '\0'

/** The text of a field of a row; `unreadable` in place of one that cannot be read whole, or that no program of text would write. */
export function readableText<Name extends string>(
  row: Damageable & { readonly [N in Name]: string | null },
  name: Name,
): string | null {
  const text = row[name]
  return row.damage?.includes(name) || text?.includes('\0') ? unreadable : text
}

/** How many integrations a page has at most that is written: what others wait for meanwhile takes a few tenths of a second. */
const writtenAtOnce = 100

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
  readonly id: IntegrationId
  readonly column: string
  readonly number: number | bigint
  readonly fingerprint: Fingerprint | null
  readonly keyId: string | null
  readonly sealed: string | null
  /** null: current */
  readonly validUntil: Instant | null
}

type ColumnsRow = {
  readonly id: IntegrationId
  readonly name: string
  readonly workspaceId: string
  readonly workspace: string | null
  /** How many bytes are kept of values before the current ones. */
  readonly previous: number | bigint | string | null
} & { readonly [F in SecretField]: string | null }

/** What can be read of secrets as they are stored, not decrypted. */
export interface StoredValueReader {
  /** The stored values of the next integrations in the order of their ids, as many as one change may write. */
  page(cursor?: StoredCursor): Promise<StoredPage>
  /** All of them, a page at a time. */
  pages(): AsyncIterable<StoredPage>
}

/** Reads secrets as they are stored. */
export function storedValueReader(db: Statements, dialect: Dialect): StoredValueReader {
  const { whole } = dialect
  const held = (field: SecretField) => sql([`i.${secretColumns[field]}`])

  async function page(cursor?: StoredCursor, limit = writtenAtOnce): Promise<StoredPage> {
    const { after, most = limit } = cursor ?? {}
    const { rows: found, after: left } = await db.queryPage<ColumnsRow>(
      {
        id: sql`i.id`,
        name: sql`i.name`,
        workspaceId: sql`i.workspace_id`,
        workspace: sql`w.name`,
        webhookSecret: held('webhookSecret'),
        accessToken: held('accessToken'),
        refreshToken: held('refreshToken'),
        previous: sql`(SELECT sum(octet_length(s.sealed)) FROM integration_secrets s WHERE s.integration_id = i.id)`,
      },
      sql`FROM integrations i LEFT JOIN workspaces w ON w.id = i.workspace_id
          ${after === undefined ? empty : sql`WHERE i.id > ${after}`} ORDER BY i.id LIMIT ${most}`,
    )
    let bytes = 0
    const fitting = found.filter(({ previous }, place) => {
      bytes += Number(previous)
      return place === 0 || bytes <= pageBytes
    })
    const isCut = left > 0 || fitting.length < found.length
    const complete = !isCut && found.length < most
    // The next page begins after an id that can be read.
    const rows = complete
      ? fitting
      : fitting.slice(0, 1 + fitting.findLastIndex(({ damage }) => !damage?.includes('id')))
    const last = rows.at(-1)?.id
    if (last === undefined) {
      refuseDamaged(found)
      return { values: [], integrations: 0 }
    }
    // Those of one integration alone may be too long to be read at once.
    const versions = await db.queryInPages<VersionRow>(
      {
        id: sql`s.integration_id`,
        column: sql`s.field`,
        number: whole(sql`s.number`),
        fingerprint: sql`s.fingerprint`,
        keyId: sql`s.key_id`,
        sealed: sql`s.sealed`,
        validUntil: dialect.toRfc3339(sql`s.valid_until`),
      },
      sql`FROM integration_secrets s WHERE s.integration_id IN (${join(rows.map(({ id }) => id))})
          AND (s.valid_until IS NULL OR s.sealed IS NOT NULL OR ${dialect.isMalformed('time', sql`s.valid_until`)})
          ORDER BY s.integration_id, s.field, s.number`,
      // Their values are no longer than a page may be.
      rowsPerPage,
    )
    const ofIntegration = new Map<string, (VersionRow & Damageable)[]>(rows.map(({ id }) => [id, []]))
    for (const version of versions) ofIntegration.get(version.id)?.push(version)
    const values = rows.flatMap((row) =>
      secretFields.flatMap((field) =>
        valuesOf(
          {
            id: row.id,
            name: refOf({ ...row, workspace: row.workspace ?? row.workspaceId }),
            field,
            text: readableText(row, field),
          },
          ofIntegration.get(row.id) ?? [],
        ),
      ),
    )
    return {
      values,
      integrations: rows.length,
      ...(complete ? {} : { next: { after: last, most: nextRows({ rows, after: isCut ? 1 : 0 }, limit) } }),
    }
  }

  return {
    page: (cursor) => page(cursor),
    async *pages() {
      for (let next: StoredPage | undefined; next === undefined || next.next !== undefined; ) {
        next = await page(next?.next, rowsPerPage)
        yield next
      }
    },
  }
}

function valuesOf(
  { id, name, field, text }: Pick<StoredValue, 'id' | 'name' | 'field' | 'text'>,
  versions: readonly (VersionRow & Damageable)[],
): StoredValue[] {
  const own = versions.filter(({ column }) => column === secretColumns[field])
  // Where none is known to be current, one of which it cannot be told may be.
  const known =
    own.find(({ validUntil }) => validUntil === null) ?? own.find(({ damage }) => damage?.includes('validUntil'))
  // What is recorded of a value tells how to read it.
  const textOf = (row: (VersionRow & Damageable) | undefined, text: string | null) => (row?.damage ? unreadable : text)
  const previous = own.filter((row) => row !== known && row.sealed !== null)
  const value = (row: (VersionRow & Damageable) | undefined, text: string | null): StoredValue => ({
    id,
    name,
    field,
    current: row === known,
    text,
    keyId: text === null ? null : encryptedBy(text, row?.keyId ?? null),
    version: row ? { number: Number(row.number), fingerprint: row.fingerprint, keyId: row.keyId } : null,
    validUntil: row === known ? null : (row?.validUntil ?? null),
  })
  return [value(known, textOf(known, text)), ...previous.map((row) => value(row, textOf(row, row.sealed)))]
}
