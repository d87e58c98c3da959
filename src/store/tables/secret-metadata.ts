import sql, { join, raw, type Sql } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import { type Damageable, damaged, refuseDamaged } from '../../damage.ts'
import { type SecretField, secretColumns, secretFields, type TokenExpiry } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'
import type { Provider } from '../database/url.ts'

const fieldOfColumn = new Map<string, SecretField>(secretFields.map((field) => [secretColumns[field], field]))

/** What is known of a field's current value, and of the one before it that is still accepted. */
export interface SecretSummary {
  readonly current?: Pick<SecretVersion, 'fingerprint' | 'setAt'> & { readonly neverExpires: boolean }
  readonly previousValidUntil: Instant | null
}

/** One version of a secret, without its value. */
export interface SecretVersion {
  readonly field: SecretField
  readonly number: number
  /** Whether the database accepts the version, by its own clock. */
  readonly state: 'current' | 'previous' | 'expired'
  readonly fingerprint: Fingerprint | null
  readonly keyId: string | null
  readonly origin: string
  readonly setAt: Instant
  readonly setBy: string | null
  /** null: it is the current one. */
  readonly validUntil: Instant | null
  /** Of an access token. */
  readonly tokenExpiresAt: Instant | null
  /** null: not an access token. */
  readonly tokenExpiry: TokenExpiry
  readonly lastMatchedAt: Instant | null
  readonly matchCount: number
}

/** Whether a version of a secret is accepted as a previous one. A version whose value is destroyed has no key, which all may see. */
export const isPrevious = ({ comparableTime, now }: Dialect): Sql =>
  sql`(s.key_id IS NOT NULL AND ${comparableTime(sql`s.valid_until`)} > ${comparableTime(now)})`

/**
 * Whether a version of a secret is current or accepted as a previous one, or cannot be told to be neither: until when it is
 * valid cannot be read, and it has a value that may be needed, or none is known to be current.
 */
export const counts = (dialect: Dialect): Sql =>
  sql`(s.valid_until IS NULL OR ${isPrevious(dialect)}
    OR (${dialect.isMalformed('time', sql`s.valid_until`)} AND (s.key_id IS NOT NULL OR NOT EXISTS (${otherCurrent}))))`

/** Whether a version of a secret is the current one, or cannot be told not to be, and no other is. */
export const mayBeCurrent = ({ isMalformed }: Dialect): Sql =>
  sql`(s.valid_until IS NULL OR (${isMalformed('time', sql`s.valid_until`)} AND NOT EXISTS (${otherCurrent})))`

/** A query for the current version of the same secret as a version's (`s`). */
const otherCurrent = sql`SELECT 1 FROM integration_secrets c WHERE c.integration_id = s.integration_id AND c.field = s.field AND c.valid_until IS NULL`

/** What is known of an integration's secrets, as `secretFacts` takes it; `id` is the integration's. No value is read. */
export function secretFactsText(dialect: Dialect, id: Sql): Sql {
  const { toRfc3339, jsonRows, flag } = dialect
  const columns = [
    sql`s.field`,
    sql`s.fingerprint`,
    toRfc3339(sql`s.set_at`),
    flag(sql`s.never_expires`, sql`(s.never_expires IS TRUE)`),
    toRfc3339(sql`s.valid_until`),
  ]
  return jsonRows(columns, sql`integration_secrets s WHERE s.integration_id = ${id} AND ${counts(dialect)}`)
}

type Facts = [
  field: string,
  fingerprint: Fingerprint | null,
  setAt: Instant,
  neverExpires: boolean | number,
  validUntil: Instant | null,
]

/** What is known of an integration's secrets, by field; undefined where it is said of a field that is none. */
export function secretFacts(text: string | null): Map<SecretField, SecretSummary> | undefined {
  const known = new Map<SecretField, SecretSummary>()
  for (const [column, print, setAt, neverExpires, validUntil] of text === null ? [] : (JSON.parse(text) as Facts[])) {
    const field = fieldOfColumn.get(column)
    if (field === undefined) return undefined
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

/** What can be read of the versions of secrets; none of it is a value. */
export interface SecretVersionReader {
  /** The versions of an integration's secrets that are remembered, newest first. */
  versions(id: IntegrationId): Promise<SecretVersion[]>
  /** Those included with fields that cannot be read, which hold a text for people instead; a fingerprint is null then. */
  allVersions(id: IntegrationId): Promise<SecretVersion[]>
}

type VersionRow = Omit<SecretVersion, 'field' | 'number' | 'matchCount' | 'tokenExpiry'> & {
  readonly id: IntegrationId
  readonly field: string
  readonly number: number | bigint
  readonly matchCount: number | bigint
  readonly neverExpires: boolean | number | bigint
}

function versionOf({
  id: _,
  field: column,
  number,
  matchCount,
  neverExpires,
  damage,
  ...row
}: VersionRow & Damageable) {
  const field = fieldOfColumn.get(column)
  if (field === undefined) return []
  const fingerprint = damage?.includes('fingerprint') ? null : row.fingerprint
  const tokenExpiry = field === 'accessToken' ? expiryOf(row.tokenExpiresAt, Boolean(neverExpires)) : null
  return [{ ...row, fingerprint, field, tokenExpiry, number: Number(number), matchCount: Number(matchCount) }]
}

/** Reads the versions of secrets. */
export function secretVersionReader(db: Statements, dialect: Dialect): SecretVersionReader {
  const { toRfc3339, whole, flag } = dialect
  const rows = (id: IntegrationId) =>
    db.queryAll<VersionRow>(
      {
        id: sql`s.integration_id`,
        field: sql`s.field`,
        number: whole(sql`s.number`),
        state: sql`CASE WHEN s.valid_until IS NULL THEN 'current' WHEN ${isPrevious(dialect)} THEN 'previous' ELSE 'expired' END`,
        fingerprint: sql`s.fingerprint`,
        keyId: sql`s.key_id`,
        origin: sql`s.origin`,
        setAt: toRfc3339(sql`s.set_at`),
        setBy: sql`s.set_by`,
        validUntil: toRfc3339(sql`s.valid_until`),
        lastMatchedAt: toRfc3339(sql`s.last_matched_at`),
        matchCount: whole(sql`s.match_count`),
        neverExpires: flag(sql`s.never_expires`, sql`(s.never_expires IS TRUE)`),
        tokenExpiresAt: sql`CASE WHEN s.field = ${secretColumns.accessToken} THEN
            ${toRfc3339(sql`CASE WHEN s.valid_until IS NULL THEN i.token_expires_at ELSE s.expires_at END`)} END`,
      },
      sql`FROM integration_secrets s JOIN integrations i ON i.id = s.integration_id
          WHERE s.integration_id = ${id} ORDER BY s.field, s.number DESC`,
    )
  return {
    versions: async (id) =>
      refuseDamaged(await rows(id)).flatMap((row) => {
        const [version] = versionOf(row)
        if (version === undefined) throw damaged(id, ['field'])
        return [version]
      }),
    allVersions: async (id) => (await rows(id)).flatMap(versionOf),
  }
}

/** What is known of when an access token ends. */
export const expiryOf = (expiresAt: Instant | null, neverExpires: boolean): 'dated' | 'never' | 'unknown' =>
  expiresAt !== null ? 'dated' : neverExpires ? 'never' : 'unknown'

const later = (a: Instant | null, b: Instant): Instant => (a !== null && a > b ? a : b)

/**
 * What tells a database role which secrets an integration has: their columns; on PostgreSQL a function with the right of the
 * owner, for a role that may not read the columns; or nothing.
 */
export type PresenceSource = 'columns' | 'function' | 'none'

/** Which secrets an integration (`i`) has, without their values. */
export interface Presence {
  /** The columns of those that are there, in one text; NULL where it cannot be told. */
  readonly held: Sql
  /** Whether one is there; undefined where it cannot be told. */
  readonly has: ((field: SecretField) => Sql) | undefined
}

/** Which secrets an integration has, as far as a source tells. */
export function presenceFrom(source: PresenceSource): Presence {
  switch (source) {
    case 'columns':
      return { held: heldOf('i'), has: (field) => sql`${raw(`i.${secretColumns[field]}`)} IS NOT NULL` }
    case 'function':
      return { held: calledOf, has: (field) => sql`strpos(${calledOf}, ${secretColumns[field]}) > 0` }
    case 'none':
      return { held: sql`NULL`, has: undefined }
  }
}

/** The columns of an integration that hold something, each followed by a space. */
const heldOf = (table: string): Sql =>
  sql`(${join(
    Object.values(secretColumns).map((column) =>
      raw(`CASE WHEN ${table}.${column} IS NULL THEN '' ELSE '${column} ' END`),
    ),
    ' || ',
  )})`

/** The name of the function, which `db roles` makes. A view would keep the application from changing its columns. */
const functionName = 'integration_held_secrets'

const calledOf = sql`${raw(functionName)}(i.id)`

/** What of the two the role of a session may use, by a statement that reads no table of the application. */
export const presenceSource = (provider: Provider): Sql =>
  provider === 'sqlite'
    ? sql`'columns'`
    : sql`CASE WHEN (SELECT count(*) FROM pg_attribute t WHERE t.attrelid = to_regclass('integrations') AND t.attname IN (${join(Object.values(secretColumns))})
          AND has_column_privilege(t.attrelid, t.attnum, 'SELECT')) = ${secretFields.length} THEN 'columns'
        WHEN has_function_privilege(to_regprocedure('${raw(functionName)}(text)'), 'EXECUTE') THEN 'function' ELSE 'none' END`

/**
 * The SQL that makes the function, for a role.
 *
 * @param schema where the tables are, as SQL names it
 */
export const presenceFunction = (schema: string, role: string): string => {
  const name = `${schema}.${functionName}(text)`
  return `CREATE OR REPLACE FUNCTION ${name} RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $integrations$
BEGIN
  RETURN (SELECT ${heldOf('i').sql} FROM ${schema}.integrations i WHERE i.id = $1);
END
$integrations$;
REVOKE ALL ON FUNCTION ${name} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ${name} TO ${role};`
}
