import sql, { join, type Sql } from 'sql-template-tag'
import { type Instant, type SecretField, secretFields, type TokenExpiry } from '../integration.ts'
import { Secret } from '../secret.ts'
import type { Dialect } from './driver.ts'
import { lastFingerprints } from './events.ts'
import { type FingerprintChanges, fingerprintsOf } from './fingerprints.ts'
import { all, readPage, type Source } from './page.ts'
import type { Statements } from './statements.ts'

/** The column of a secret, which is also how its history names the field. */
export const secretColumns = {
  webhookSecret: 'webhook_secret',
  accessToken: 'access_token',
  refreshToken: 'refresh_token',
} as const satisfies Record<SecretField, string>

const fieldOfColumn = new Map<string, SecretField>(secretFields.map((field) => [secretColumns[field], field]))

/** What is known of a field's current value, and of the one before it that is still accepted. */
export interface CurrentSecret {
  readonly current?: { readonly fingerprint: string | null; readonly setAt: Instant; readonly neverExpires: boolean }
  readonly previousValidUntil: Instant | null
}

/** One version of a secret, without its value. */
export interface SecretVersion {
  readonly field: SecretField
  readonly number: number
  readonly fingerprint: string | null
  readonly keyId: string | null
  readonly origin: string
  readonly setAt: Instant
  readonly setBy: string | null
  /** null: it is the current one. */
  readonly validUntil: Instant | null
  /** Of an access token. */
  readonly tokenExpiresAt: Instant | null
  /** null: it is no access token. */
  readonly tokenExpiry: TokenExpiry
  readonly lastMatchedAt: Instant | null
  readonly matchCount: number
}

/** What the column of a secret holds, and what is recorded of it. */
export interface StoredSecret {
  /** The integration's. */
  readonly id: string
  /** Workspace and name. */
  readonly name: string
  readonly field: SecretField
  /** The value, or the sealed value; null for none. */
  readonly stored: Secret | null
  /** The key that seals it, as its version is recorded; null for none. */
  readonly keyId: string | null
  /** The fingerprint that the last event about the column tells; null for no value, undefined without such an event. */
  readonly audited: string | null | undefined
}

/** What is known of an integration's secrets, as `secretFacts` takes it; `id` is the integration's. No value is read. */
export function secretFactsText({ instant, time, now, nested }: Dialect, id: Sql): Sql {
  const columns = [
    sql`s.field`,
    sql`s.fingerprint`,
    instant(sql`s.set_at`),
    sql`s.never_expires`,
    instant(sql`s.valid_until`),
  ]
  return nested(
    columns,
    sql`integration_secrets s WHERE s.integration_id = ${id} AND (s.valid_until IS NULL OR ${time(sql`s.valid_until`)} > ${time(now)})`,
  )
}

type Facts = [
  field: string,
  fingerprint: string | null,
  setAt: Instant,
  neverExpires: boolean | number,
  validUntil: Instant | null,
]

/** What is known of an integration's secrets, by field. */
export function secretFacts(text: string | null): Map<SecretField, CurrentSecret> {
  const known = new Map<SecretField, CurrentSecret>()
  for (const [column, print, setAt, neverExpires, validUntil] of text === null ? [] : (JSON.parse(text) as Facts[])) {
    const field = fieldOfColumn.get(column)
    if (field === undefined) continue
    const before = known.get(field) ?? { previousValidUntil: null }
    known.set(
      field,
      validUntil === null
        ? { ...before, current: { fingerprint: print, setAt, neverExpires: Boolean(neverExpires) } }
        : { ...before, previousValidUntil: later(before.previousValidUntil, validUntil) },
    )
  }
  return known
}

/** The queries about the versions of secrets; none but `stored` reads a value. */
export function secretRows(db: Statements, dialect: Dialect) {
  const { instant } = dialect
  return {
    /** Hands on what the columns of all secrets hold, those without a value included, in the order of the integrations. */
    stored: (onRows: (rows: StoredSecret[]) => Promise<void>): Promise<void> =>
      readPage<StoredRow>(db, dialect, storedSource(dialect), all([]), { sort: 'id', descending: false }, (rows) =>
        onRows(rows.flatMap(storedSecrets)),
      ),

    /** The versions of an integration's secrets that are remembered, newest first. */
    async versions(id: string): Promise<SecretVersion[]> {
      const rows = await db.query<
        Omit<SecretVersion, 'field' | 'number' | 'matchCount' | 'tokenExpiry'> &
          Record<'field' | 'number' | 'matchCount' | 'neverExpires', never>
      >(
        sql`SELECT s.field, s.number, s.fingerprint, s.key_id AS "keyId", s.origin, ${instant(sql`s.set_at`)} AS "setAt",
          s.set_by AS "setBy", ${instant(sql`s.valid_until`)} AS "validUntil", ${instant(sql`s.last_matched_at`)} AS "lastMatchedAt",
          s.match_count AS "matchCount", s.never_expires AS "neverExpires", CASE WHEN s.field = ${secretColumns.accessToken} THEN
            ${instant(sql`CASE WHEN s.valid_until IS NULL THEN i.token_expires_at ELSE s.expires_at END`)} END AS "tokenExpiresAt"
          FROM integration_secrets s JOIN integrations i ON i.id = s.integration_id
          WHERE s.integration_id = ${id} ORDER BY s.field, s.number DESC`,
      )
      return rows.flatMap(({ field: column, number, matchCount, neverExpires, ...row }) => {
        const field = fieldOfColumn.get(column)
        if (field === undefined) return []
        const tokenExpiry = field === 'accessToken' ? expiryOf(row.tokenExpiresAt, neverExpires) : null
        return [{ ...row, field, tokenExpiry, number: Number(number), matchCount: Number(matchCount) }]
      })
    },
  }
}

type StoredRow = { readonly [F in SecretField]: string | null } & {
  readonly id: string
  readonly name: string
  readonly keyIds: string | null
} & { readonly [F in SecretField as `${F}Audited`]: string | null }

function storedSource(dialect: Dialect): Source {
  const recorded = sql`integration_secrets s WHERE s.integration_id = i.id AND s.valid_until IS NULL`
  const id = dialect.bytes(sql`i.id`)
  return {
    columns: join([
      sql`i.id`,
      sql`w.name || '/' || i.name AS name`,
      sql`${dialect.nested([sql`s.field`, sql`s.key_id`], recorded)} AS "keyIds"`,
      ...secretFields.flatMap((field) => [
        sql`i.${sql([secretColumns[field]])} AS ${sql([`"${field}"`])}`,
        sql`${lastFingerprints(dialect, sql`i.id`, secretColumns[field])} AS ${sql([`"${field}Audited"`])}`,
      ]),
    ]),
    from: sql`integrations i JOIN workspaces w ON w.id = i.workspace_id`,
    id: sql`i.id`,
    keys: { id },
  }
}

function storedSecrets(row: StoredRow): StoredSecret[] {
  const keyIds = new Map(JSON.parse(row.keyIds ?? '[]') as [column: string, keyId: string | null][])
  const told = (changes: FingerprintChanges, column: string) => changes.findLast(({ field }) => field === column)?.to
  return secretFields.map((field) => {
    const column = secretColumns[field]
    const text = row[field]
    return {
      id: row.id,
      name: row.name,
      field,
      stored: text === null ? null : new Secret(text),
      keyId: keyIds.get(column) ?? null,
      audited: told(fingerprintsOf(row[`${field}Audited`]), column),
    }
  })
}

/** What is known of when an access token ends. */
export const expiryOf = (expiresAt: Instant | null, neverExpires: boolean): 'dated' | 'never' | 'unknown' =>
  expiresAt !== null ? 'dated' : neverExpires ? 'never' : 'unknown'

const later = (a: Instant | null, b: Instant): Instant => (a !== null && a > b ? a : b)
