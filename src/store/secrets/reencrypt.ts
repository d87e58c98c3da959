import sql, { empty, join, type Sql } from 'sql-template-tag'
import { type Instant, type IntegrationId, instantOf } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, encrypt } from '../../crypto/jwe.ts'
import { keyIdOf } from '../../crypto/jwe-format.ts'
import { is, isDecryptionFailure } from '../../errors.ts'
import { type SecretField, secretColumns, secretFields } from '../../integration.ts'
import type { PreviousValues } from '../audit/head.ts'
import type { WritableStatements } from '../database/statements.ts'
import { eventOf, newestEventText } from './accepted.ts'
import { markCleared, reconcile } from './current.ts'
import { decryptRecorded } from './decrypt.ts'
import { type AcceptedDecryption, acceptedVersions } from './decrypt-accepted.ts'
import { isAsModeAsks, type KnownVersion, type StoredValue } from './stored.ts'
import { columnValue, encryptionContext, encryptToStore, type SecretContext } from './versions.ts'

/**
 * Decrypts a stored value, and tells whether nothing is left to do about it: it is encrypted as the mode asks, and is the one
 * that was recorded.
 *
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export function isReencrypted({ keyring, mode, previous }: AcceptedDecryption, value: StoredValue): boolean {
  const { current, text, version } = value
  if (text === null) return version === null
  const context = previous === 'bound' ? contextOf(value) : encryptionContext(value)
  // This program alone writes those before the current one.
  const decryption = { keyring, mode: current ? mode : 'required' } as const
  const { fingerprint } = decryptRecorded(decryption, { context, text, known: version })
  return isAsModeAsks(value, mode, keyring.encryptionKey.id) && (!current || fingerprint === version?.fingerprint)
}

/** What a stored value is encrypted for; of a previous one, which it is. */
const contextOf = (value: StoredValue) =>
  encryptionContext(
    value,
    value.version && value.validUntil ? { number: value.version.number, until: value.validUntil } : undefined,
  )

/** A stored value in the form that the mode asks for, still to be written. */
export interface Reencrypted {
  readonly value: StoredValue
  /** The number of its version. */
  readonly number: number
  /** What stands in its place now. */
  readonly stored: string
  readonly text: string
}

/** What brings stored values to what the mode asks, within a transaction. */
export interface StoredValueWriter {
  /**
   * Decrypts a stored value, and encrypts it as the mode asks. A current one that the application wrote is recorded.
   *
   * @returns undefined when it is so already
   * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
   */
  reencryptValue(value: StoredValue): Promise<Reencrypted | undefined>
  /** Writes values, all of them in a few statements. @returns how many: another program may have written the others since they were read */
  writeReencrypted(values: readonly Reencrypted[]): Promise<number>
}

/** Brings stored values to what the mode asks. */
export const storedValueWriter = (context: SecretContext): StoredValueWriter => ({
  async reencryptValue(value) {
    const { keyring, mode } = context
    const { text } = value
    const settled = isAsModeAsks(value, mode, keyring.encryptionKey.id)
    if (settled && isReencrypted({ keyring, mode, previous: 'bound' }, value)) return undefined
    if (text === null) {
      if (value.version) await markCleared(context, value, value.version)
      return undefined
    }
    if (!value.current && value.version) return reencryptPrevious(context, value, { text, known: value.version })
    const held = await reconcile(context, value, { text, known: value.version })
    if (settled) return undefined
    const wanted = columnValue(context, value, held.value)
    const { number, stored } = held
    return { value, number, stored, text: value.keyId === wanted.keyId ? stored : wanted.text }
  },
  async writeReencrypted(values) {
    let count = 0
    for (const field of secretFields) {
      const current = values.filter(({ value }) => value.current && value.field === field)
      if (current.length > 0) count += await writeCurrent(context, field, current)
    }
    const previous = values.filter(({ value }) => !value.current)
    return previous.length > 0 ? count + (await writePrevious(context, previous)) : count
  },
})

function reencryptPrevious(
  { keyring }: SecretContext,
  value: StoredValue,
  { text: stored, known }: { readonly text: string; readonly known: KnownVersion },
): Reencrypted {
  const context = contextOf(value)
  const { value: decrypted } = decryptRecorded({ keyring, mode: 'required' }, { context, text: stored, known })
  return {
    value,
    number: known.number,
    stored,
    text: encryptToStore(keyring.encryptionKey, value, decrypted, context.previous),
  }
}

async function writeCurrent(
  { tx, keyring, mode }: SecretContext,
  field: SecretField,
  values: readonly Reencrypted[],
): Promise<number> {
  const column = secretColumns[field]
  const keyId = mode === 'off' ? null : keyring.encryptionKey.id
  const given = sql`WITH given (id, number, stored, text) AS (VALUES ${rowsOf(values)})`
  const held = sql([`integrations.${column}`])
  const others = values.filter(({ text, stored }) => text !== stored)
  if (others.length > 0)
    await tx.execute(sql`WITH given (id, number, stored, text) AS (VALUES ${rowsOf(others)})
      UPDATE integrations SET ${sql([column])} = given.text FROM given WHERE integrations.id = given.id AND ${held} = given.stored`)
  // Only where the value is there.
  return tx.execute(sql`${given} UPDATE integration_secrets SET key_id = ${keyId} FROM given, integrations
    WHERE integrations.id = given.id AND ${held} = given.text AND ${isVersion(sql`${column}`)}`)
}

const writePrevious = ({ tx, keyring }: SecretContext, values: readonly Reencrypted[]): Promise<number> =>
  tx.execute(sql`WITH given (id, number, stored, text, field) AS (VALUES ${rowsOf(values, true)})
    UPDATE integration_secrets SET sealed = given.text, key_id = ${keyring.encryptionKey.id} FROM given
    WHERE ${isVersion(sql`given.field`)} AND integration_secrets.sealed = given.stored`)

const rowsOf = (values: readonly Reencrypted[], withField = false) =>
  join(
    values.map(({ value: { id, field }, number, stored, text }) => {
      // Parameters of a list have no type of their own on PostgreSQL: all of them are text.
      const row = [id, String(number), stored, text]
      return sql`(${join(withField ? [...row, secretColumns[field]] : row)})`
    }),
  )

/** Whether a row is the version that is given. */
const isVersion = (field: Sql) =>
  sql`integration_secrets.integration_id = given.id AND integration_secrets.field = ${field} AND integration_secrets.number = CAST(given.number AS integer)`

/** The integrations of which a version before kept previous values. One whose id cannot be read is left out. */
export async function keptIntegrations(tx: WritableStatements): Promise<IntegrationId[]> {
  const rows = await tx.queryAll<{ id: IntegrationId }>(
    { id: sql`s.integration_id` },
    sql`FROM (SELECT DISTINCT integration_id FROM integration_secrets WHERE ${isKept}) s ORDER BY s.integration_id`,
  )
  return rows.flatMap(({ id, damage }) => (damage ? [] : [id]))
}

/** A previous version whose value is there. */
const isKept = sql`sealed IS NOT NULL AND valid_until IS NOT NULL`

/**
 * Encrypts the values that a version before kept once more, as the previous values that they are: what does not say so is
 * none from then on. A value that cannot be decrypted stays as it is, and so does one that is not as an event lists it.
 *
 * @param before `recorded`: events list them; `unrecorded`: none does yet, and their rows alone say what they are
 * @returns how many of these are in their grace period
 */
export async function bindPrevious(
  context: Pick<SecretContext, 'tx' | 'dialect' | 'keyring' | 'now'>,
  before: Exclude<PreviousValues, 'bound'>,
): Promise<number> {
  let accepted = 0
  for (let last: KeptRow | undefined; ; ) {
    const { rows, after } = await keptRows(context, last)
    for (const row of rows)
      if (!row.damage && (await bind(context, row, before)) && row.until > instantOf(context.now)) accepted++
    last = rows.findLast(({ damage }) => !damage)
    if (last === undefined || (after === 0 && rows.length < keptAtOnce)) return accepted
  }
}

/** A value that a version before kept. */
interface KeptRow {
  readonly id: IntegrationId
  readonly column: string
  readonly number: number | bigint
  readonly sealed: string
  readonly until: Instant
  /** The newest event about its integration, as JSON. */
  readonly newest: string | null
}

/** How many of them are read at a time. */
const keptAtOnce = 500

/** The next of them, after one: all of them may be too long to be read at once. */
const keptRows = ({ tx, dialect }: Pick<SecretContext, 'tx' | 'dialect'>, last: KeptRow | undefined) =>
  tx.queryPage<KeptRow>(
    {
      id: sql`s.integration_id`,
      column: sql`s.field`,
      number: dialect.whole(sql`s.number`),
      sealed: sql`s.sealed`,
      until: dialect.toRfc3339(sql`s.valid_until`),
      newest: newestEventText(dialect, sql`s.integration_id`),
    },
    sql`FROM integration_secrets s WHERE ${isKept}
      ${last ? sql`AND (s.integration_id, s.field, s.number) > (${last.id}, ${last.column}, ${Number(last.number)})` : empty}
      ORDER BY s.integration_id, s.field, s.number LIMIT ${keptAtOnce}`,
  )

/**
 * Encrypts a value as the previous value that its row says it is.
 *
 * @returns whether it could be decrypted, and is the one that is recorded
 */
async function bind(
  { tx, keyring }: Pick<SecretContext, 'tx' | 'keyring'>,
  { id, column, number, sealed, until, newest }: KeptRow,
  before: Exclude<PreviousValues, 'bound'>,
): Promise<boolean> {
  const context = { id, field: column }
  try {
    const value = decrypt(keyring.keys, context, sealed)
    if (before === 'recorded') {
      const print = fingerprint(keyring.fingerprintKey, value)
      const isListed = acceptedVersions(keyring, id, eventOf(newest))?.some(
        (one) =>
          one.field === column &&
          one.number === Number(number) &&
          one.valid_until === until &&
          one.fingerprint === print,
      )
      if (!isListed) return false
    }
    // With the same key: a receiver may not have the active one yet.
    const key = keyring.keys.get(keyIdOf(sealed) ?? '') ?? keyring.encryptionKey
    const text = encrypt(key, { ...context, previous: { number: Number(number), until } }, value)
    await tx.execute(sql`UPDATE integration_secrets SET sealed = ${text}, key_id = ${key.id}
      WHERE integration_id = ${id} AND field = ${column} AND number = ${Number(number)} AND sealed = ${sealed}`)
    return true
  } catch (error) {
    // An event that was changed lists nothing.
    if (!isDecryptionFailure(error) && !is(error, 'DATABASE_INVALID')) throw error
    return false
  }
}
