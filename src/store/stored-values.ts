import sql, { empty, join } from 'sql-template-tag'
import { type SecretField, secretFields } from '../integration.ts'
import { keyIdOf } from '../vault/sealed-text.ts'
import type { Vault } from '../vault/vault.ts'
import type { Dialect } from './driver.ts'
import type { FingerprintChanges } from './fingerprints.ts'
import type { SealingMode } from './keys.ts'
import { secretColumns } from './secret-facts.ts'
import type { secretChanges } from './secrets.ts'
import type { Statements, Transaction } from './statements.ts'

/** A version of a secret, as it is recorded. */
export interface KnownVersion {
  readonly number: number
  readonly fingerprint: string | null
  readonly keyId: string | null
}

/** A secret as it is stored: what the application's column holds, or a value before that one which is kept for a while. */
export interface StoredValue {
  /** Of the integration. */
  readonly id: string
  readonly field: SecretField
  readonly current: boolean
  /** null: the application has cleared the column since it was last read. */
  readonly text: string | null
  /** The key that seals the text; null when nothing does. */
  readonly keyId: string | null
  /** null: the application has written the value, and nobody has read it yet. */
  readonly version: KnownVersion | null
}

/** The stored values of some integrations. */
export interface StoredPage {
  readonly values: readonly StoredValue[]
  readonly integrations: number
  /** The id to go on after; absent at the end. */
  readonly next?: string
}

/** How many integrations a page has: what others wait for while it is written takes a few tenths of a second. */
const pageSize = 100

/**
 * The key that seals what a column holds; null when nothing does. What only looks sealed is not: the application may
 * store what it likes while it may store at all.
 *
 * @param recorded the key that its version is recorded with
 */
export const sealedBy = (text: string, recorded: string | null): string | null =>
  recorded === null ? null : (keyIdOf(text) ?? null)

/** Whether a value is sealed as the mode asks: current ones plain in `off`, all others with the active key. */
export function isSettled(
  { current, text, keyId, version }: StoredValue,
  mode: SealingMode,
  activeKey: string | null,
): boolean {
  const wanted = current && mode === 'off' ? null : activeKey
  return text === null || (keyId === wanted && (version?.keyId ?? null) === wanted)
}

interface VersionRow {
  id: string
  column: string
  number: number | bigint
  fingerprint: string | null
  keyId: string | null
  sealed: string | null
  current: boolean | number | bigint
}

/** The queries that read secrets as they are stored, unopened. */
export function storedValueRows(db: Statements, { time, now }: Dialect) {
  async function page(after?: string): Promise<StoredPage> {
    const rows = await db.query<{ id: string } & { [F in SecretField]: string | null }>(
      sql`SELECT i.id, i.webhook_secret AS "webhookSecret", i.access_token AS "accessToken", i.refresh_token AS "refreshToken"
          FROM integrations i ${after === undefined ? empty : sql`WHERE i.id > ${after}`} ORDER BY i.id LIMIT ${pageSize}`,
    )
    const last = rows.at(-1)?.id
    if (last === undefined) return { values: [], integrations: 0 }
    const versions = await db.query<VersionRow>(
      sql`SELECT s.integration_id AS id, s.field AS "column", s.number, s.fingerprint, s.key_id AS "keyId", s.sealed,
          s.valid_until IS NULL AS current FROM integration_secrets s WHERE s.integration_id IN (${join(rows.map(({ id }) => id))})
          AND (s.valid_until IS NULL OR (s.sealed IS NOT NULL AND ${time(sql`s.valid_until`)} > ${time(now)}))`,
    )
    const ofIntegration = new Map<string, VersionRow[]>(rows.map(({ id }) => [id, []]))
    for (const version of versions) ofIntegration.get(version.id)?.push(version)
    const values = rows.flatMap((row) =>
      secretFields.flatMap((field) => valuesOf(row.id, field, row[field], ofIntegration.get(row.id) ?? [])),
    )
    return { values, integrations: rows.length, ...(rows.length < pageSize ? {} : { next: last }) }
  }

  return {
    /** The stored values of the next integrations in the order of their ids, after one. */
    page,

    /** All of them, a page at a time. */
    async *pages(): AsyncGenerator<StoredPage> {
      for (let next: StoredPage | undefined; next === undefined || next.next !== undefined; ) {
        next = await page(next?.next)
        yield next
      }
    },
  }
}

function valuesOf(id: string, field: SecretField, text: string | null, versions: readonly VersionRow[]): StoredValue[] {
  const own = versions.filter(({ column }) => column === secretColumns[field])
  const known = own.find(({ current }) => Boolean(current))
  const previous = own.filter((row) => row !== known && row.sealed !== null)
  const value = (row: VersionRow | undefined, text: string | null): StoredValue => ({
    id,
    field,
    current: row === known,
    text,
    keyId: text === null ? null : sealedBy(text, row?.keyId ?? null),
    version: row ? { number: Number(row.number), fingerprint: row.fingerprint, keyId: row.keyId } : null,
  })
  return [...(known || text !== null ? [value(known, text)] : []), ...previous.map((row) => value(row, row.sealed))]
}

/** What brings stored values to what the mode asks, within a transaction. */
export function storedValueChanges(
  tx: Transaction,
  { vault, mode, secrets }: { vault: Vault; mode: SealingMode; secrets: ReturnType<typeof secretChanges> },
) {
  const version = ({ id, field }: StoredValue, number: number) =>
    sql`integration_id = ${id} AND field = ${secretColumns[field]} AND number = ${number}`

  async function settlePrevious(value: StoredValue, { number }: KnownVersion, text: string): Promise<boolean> {
    const sealed = await secrets.resealed(value.id, value.field, text)
    const changed = await tx.execute(sql`UPDATE integration_secrets SET sealed = ${sealed}, key_id = ${vault.sealing.id}
      WHERE ${version(value, number)} AND sealed = ${text}`)
    return changed === 1
  }

  return {
    /**
     * Brings a stored value to what the mode asks. A current one that the application wrote is recorded.
     *
     * @param noticed is told the fingerprints of what was not known
     * @returns `settled` when it was so already, `lost` when it was written by somebody else since it was read
     * @throws SEAL_BROKEN, KEY_UNKNOWN
     */
    async settle(
      value: StoredValue,
      noticed: (changes: FingerprintChanges) => void,
    ): Promise<'changed' | 'settled' | 'lost'> {
      const { id, field, text, keyId } = value
      const settled = isSettled(value, mode, vault.sealing.id)
      if (text === null) {
        await secrets.cleared(id, field)
        noticed([{ field: secretColumns[field], from: value.version?.fingerprint ?? null, to: null }])
        return 'settled'
      }
      if (settled && keyId !== null) return 'settled'
      if (!value.current && value.version)
        return (await settlePrevious(value, value.version, text)) ? 'changed' : 'lost'
      const held = await secrets.hold(id, field, text, value.version, noticed)
      if (settled) return 'settled'
      const wanted = await secrets.storable(id, field, held.value)
      if (keyId !== wanted.keyId) {
        const column = sql([secretColumns[field]])
        const changed = await tx.execute(
          sql`UPDATE integrations SET ${column} = ${wanted.text} WHERE id = ${id} AND ${column} = ${text}`,
        )
        if (changed !== 1) return 'lost'
      }
      await tx.execute(
        sql`UPDATE integration_secrets SET key_id = ${wanted.keyId} WHERE ${version(value, held.number)}`,
      )
      return 'changed'
    },
  }
}
