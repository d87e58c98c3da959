import sql, { empty, join } from 'sql-template-tag'
import { type Fingerprint, type Instant, type IntegrationId, instantOf } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt } from '../../crypto/jwe.ts'
import { failpoint } from '../../failpoint.ts'
import { type Expiry, entriesOf, type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import { eventTexts, newestEvent } from '../audit/events.ts'
import { countOf } from '../tables/page.ts'
import { type SecretVersion, secretVersionReader } from '../tables/secret-metadata.ts'
import {
  type CurrentSecret,
  type CurrentSecrets,
  type OpenCurrent,
  readMany,
  storedIn,
  type UnreadableSecret,
} from './current.ts'
import { NotRecorded } from './decrypt.ts'
import { acceptedVersions } from './decrypt-accepted.ts'
import { unreadable } from './stored.ts'
import {
  allVersions,
  columnValue,
  encryptionContext,
  encryptToStore,
  expireVersions,
  insertVersion,
  isCurrent,
  rememberExpiry,
  type SecretContext,
  type SecretLocation,
  type SecretOrigin,
  setExpiry,
  wroteVersion,
} from './versions.ts'

/** A value that replaces another. */
export interface SecretChange {
  readonly field: SecretField
  /** The value read before; the column must still hold it. */
  readonly old: CurrentSecret | UnreadableSecret | null
  readonly value: Secret
  readonly origin: SecretOrigin
  readonly setBy: string
  /** Of an access token; `unknown` for another secret. */
  readonly expiry: Expiry
  /** Until when the old value stays valid; now, or before: it expires at once, and is not kept. */
  readonly previousValidUntil: Date
  /** Forget versions of the field that cannot be read; those of a value that cannot be read are forgotten anyway. */
  readonly forgetUnreadable?: boolean
}

/** What reads and changes secrets, within a transaction. What goes into the database is encrypted here, and nowhere else. */
export interface SecretWriter {
  /**
   * Reads and decrypts the current values of an integration. A value that the application wrote is recorded.
   *
   * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
   */
  read(id: IntegrationId, fields: readonly SecretField[]): Promise<CurrentSecrets>
  /** Reads what a column holds for several integrations at once; what comes back decrypts that of each, as `read` does. */
  readMany(ids: readonly IntegrationId[], field: SecretField): Promise<OpenCurrent>
  /** What the column of a secret holds, as it is: for a value that does not decrypt, and is to be replaced all the same. */
  readRaw(id: IntegrationId, field: SecretField): Promise<UnreadableSecret | undefined>
  /**
   * Puts a value in the place of another and records the change.
   *
   * @returns the fingerprint of the new value; undefined, with nothing changed, when the column no longer holds the old one
   */
  replace(id: IntegrationId, change: SecretChange): Promise<Fingerprint | undefined>
  /**
   * The integrations that seem to hold a value; each has to be read to be sure, since the application may write.
   *
   * @param value itself, where it is known: what the application alone has written has no fingerprint yet
   */
  sharing(field: SecretField, fingerprint: Fingerprint, value?: Secret): Promise<IntegrationId[]>
  /**
   * Gives the current access token another expiry.
   *
   * @param number the number of its version
   * @returns false when the column, at its precision, held the same before
   */
  setExpiry(id: IntegrationId, number: number, expiry: Expiry): Promise<boolean>
  /** The fingerprint that a value has in this database. */
  fingerprint(value: Secret): Fingerprint
  /** The newest version of a field that is not current and still valid. */
  previous(id: IntegrationId, field: SecretField): Promise<SecretVersion | undefined>
  /** The current version of a field: set, or seen for the first time, at its `setAt`. */
  current(id: IntegrationId, field: SecretField): Promise<SecretVersion | undefined>
  /** How many versions have expired whose values are still kept, and how many of them a day ago. */
  countExpired(): Promise<{ kept: number; aDayAgo: number }>
  /** Ends at once every version of a field that is not current. @returns how many were still valid */
  finish(id: IntegrationId, field: SecretField): Promise<number>
  /**
   * Makes the previous version of a field current again; the one taken back stays valid for the rest of the grace period.
   * With an access token goes its expiry.
   *
   * @returns the fingerprint of the value that is current now; undefined when there is none to take back, or the
   *   column no longer holds what was read
   */
  revert(id: IntegrationId, field: SecretField, held: CurrentSecret): Promise<Fingerprint | undefined>
}

/** Reads and changes secrets. */
export function secretWriter(context: SecretContext): SecretWriter {
  const { tx, now } = context
  const { allVersions: versions } = secretVersionReader(tx, context.dialect)
  return {
    async read(id, fields) {
      const held: { [F in SecretField]?: CurrentSecret } = {}
      for (const field of fields) {
        const value = await (await readMany(context, [id], field))(id)
        if (value) held[field] = value
      }
      return held
    },
    readMany: (ids, field) => readMany(context, ids, field),
    async readRaw(id, field) {
      const { text = null } = (await storedIn(context, [id], field)).get(id) ?? {}
      return text === null ? undefined : { stored: text, fingerprint: null }
    },
    replace: (id, change) => replace(context, { id, field: change.field }, change),
    async sharing(field, fingerprint, value) {
      const column = secretColumns[field]
      const plain =
        context.mode === 'required' || value === undefined
          ? empty
          : sql` UNION SELECT i.id FROM integrations i WHERE ${sql([`i.${column}`])} = ${value.reveal()}`
      const rows = await tx.query<{ id: IntegrationId }>(
        { id: sql`h.id` },
        sql`FROM (SELECT s.integration_id AS id FROM integration_secrets s
          WHERE s.field = ${column} AND s.fingerprint = ${fingerprint} AND s.valid_until IS NULL${plain}) h ORDER BY h.id`,
      )
      return rows.map(({ id }) => id)
    },
    setExpiry: (id, number, expiry) => setExpiry(context, id, { number, expiry }),
    fingerprint: (value) => fingerprint(context.keyring.fingerprintKey, value),
    previous: async (id, field) =>
      (await versions(id)).find(
        (one) => one.field === field && one.state === 'previous' && (one.validUntil ?? '') > instantOf(now),
      ),
    current: async (id, field) => (await versions(id)).find((one) => one.field === field && one.state === 'current'),
    async countExpired() {
      const count = (expiredBy: Date) => countOf(tx, sql`integration_secrets s WHERE ${isKeptAfter(expiredBy)}`)
      return { kept: await count(now), aDayAgo: await count(new Date(now.getTime() - keptAfterExpiryMs)) }
    },
    finish: (id, field) => expireVersions(context, { id, field }, sql`s.valid_until > ${now}`),
    revert: (id, field, held) => revert(context, { id, field }, held),
  }
}

/** How long the value of an expired version is kept: what a wrong clock calls expired may be in use. */
const keptAfterExpiryMs = 86_400_000

/**
 * Until when a version must have been valid for its value to be destroyed by a change: a day before the clock, and before
 * the newest event, which another clock may have dated: a clock that is ahead destroys nothing that was valid by then.
 *
 * @param newestEvent when the newest event was recorded; null: there is no event, or its time cannot be read
 */
export function purgeLimit(now: Date, newestEvent: Instant | null): Date | undefined {
  if (newestEvent === null) return undefined
  return new Date(Math.min(now.getTime(), Date.parse(newestEvent)) - keptAfterExpiryMs)
}

/** Destroys the values of versions that expired by an instant. @returns how many */
export const purgeExpired = ({ tx }: SecretContext, expiredBy: Date): Promise<number> =>
  tx.execute(sql`UPDATE integration_secrets AS s SET sealed = NULL, key_id = NULL WHERE ${isKeptAfter(expiredBy)}`)

/** A version (`s`) that expired by an instant, and whose value is kept. */
const isKeptAfter = (expiredBy: Date) => sql`s.valid_until <= ${expiredBy} AND s.sealed IS NOT NULL`

async function replace(
  context: SecretContext,
  at: SecretLocation,
  { old, value, previousValidUntil, origin, setBy, expiry, forgetUnreadable }: SecretChange,
): Promise<Fingerprint | undefined> {
  const { tx, keyring, now } = context
  const { text, keyId } = columnValue(context, at, value)
  const column = sql([secretColumns[at.field]])
  const holdsOld = !old
    ? sql`${column} IS NULL`
    : old.stored === unreadable
      ? // The row is locked since it was read.
        sql`1 = 1`
      : sql`${column} = ${old.stored}`
  const count = await tx.execute(sql`UPDATE integrations SET ${column} = ${text} WHERE id = ${at.id} AND ${holdsOld}`)
  if (count !== 1) return undefined
  failpoint('column written')
  if (at.field === 'accessToken') await rememberExpiry(context, at.id)
  if (old && old.fingerprint !== null && previousValidUntil > now)
    await keepPrevious(context, at, { ...old, validUntil: previousValidUntil })
  else await expireVersions(context, at, isCurrent)
  failpoint('old value kept')
  const print = fingerprint(keyring.fingerprintKey, value)
  const number = await insertVersion(context, at, { fingerprint: print, keyId, origin, setBy, expiry })
  if (forgetUnreadable || old?.fingerprint === null) await forgetDamaged(context, at, number)
  return print
}

/** Versions that cannot be read would keep the others from being listed; the audit log tells of them. @param except the new one */
async function forgetDamaged(
  { tx, dialect }: SecretContext,
  { id, field }: SecretLocation,
  except: number,
): Promise<void> {
  const columns = {
    text: ['fingerprint', 'key_id', 'sealed', 'origin', 'set_by'],
    time: times,
    whole: ['number', 'match_count'],
    flag: ['never_expires'],
  }
  const damaged = entriesOf(columns).flatMap(([kind, names]) =>
    names.map((name) => dialect.isMalformed(kind, sql([name]))),
  )
  await tx.execute(sql`DELETE FROM integration_secrets WHERE integration_id = ${id} AND (field NOT IN (${join(Object.values(secretColumns))})
    OR (field = ${secretColumns[field]} AND number <> ${except} AND (${join(damaged, ' OR ')})))`)
}
const times = ['set_at', 'valid_until', 'expires_at', 'last_matched_at']

/** Makes the current value a previous value, which stays valid for the grace period; it is encrypted as such, whatever the mode. */
async function keepPrevious(
  context: SecretContext,
  at: SecretLocation,
  { number, value, keyId, validUntil }: CurrentSecret & { readonly validUntil: Date },
): Promise<void> {
  const { tx, keyring } = context
  // With the key that encrypted it until now: a receiver may not have the active one yet.
  const key = (keyId === null ? undefined : keyring.keys.get(keyId)) ?? keyring.encryptionKey
  const sealed = encryptToStore(key, at, value, { number, until: instantOf(validUntil) })
  await tx.execute(sql`UPDATE integration_secrets AS s SET valid_until = ${validUntil}, sealed = ${sealed}, key_id = ${key.id}
    WHERE ${allVersions(at)} AND s.number = ${number}`)
  wroteVersion(context, at, number)
}

async function revert(context: SecretContext, at: SecretLocation, held: CurrentSecret) {
  const { tx, dialect, keyring, now } = context
  const { id, field } = at
  const [previous] = await tx.query<{
    id: IntegrationId
    number: number | bigint
    sealed: string
    validUntil: Instant
  }>(
    {
      id: sql`s.integration_id`,
      number: dialect.whole(sql`s.number`),
      sealed: sql`s.sealed`,
      validUntil: dialect.toRfc3339(sql`s.valid_until`),
    },
    sql`FROM integration_secrets s WHERE s.integration_id = ${id} AND s.field = ${secretColumns[field]} AND s.sealed IS NOT NULL
      AND ${dialect.comparableTime(sql`s.valid_until`)} > ${dialect.timeLiteral(instantOf(now))} ORDER BY s.number DESC LIMIT 1`,
  )
  if (!previous) return undefined
  const number = Number(previous.number)
  const { validUntil } = previous
  const [newest] = await tx.queryAll(
    eventTexts(dialect),
    sql`FROM integration_events e WHERE e.seq = ${newestEvent('integration', sql`${id}`)}`,
  )
  const accepted = acceptedVersions(keyring, id, newest ?? null)?.find(
    (one) => one.field === secretColumns[field] && one.number === number && one.valid_until === validUntil,
  )
  if (!accepted) throw new NotRecorded(encryptionContext(at))
  const value = decrypt(keyring.keys, encryptionContext(at, { number, until: validUntil }), previous.sealed)
  const print = fingerprint(keyring.fingerprintKey, value)
  // A value that a version before kept does not say itself which one it is: another would take its place.
  if (print !== accepted.fingerprint) throw new NotRecorded(encryptionContext(at))
  const { text, keyId } = columnValue(context, at, value)
  const column = sql([secretColumns[field]])
  const count = await tx.execute(
    sql`UPDATE integrations SET ${column} = ${text} WHERE id = ${id} AND ${column} = ${held.stored}`,
  )
  if (count !== 1) return undefined
  if (field === 'accessToken') {
    await rememberExpiry(context, id)
    await tx.execute(
      sql`UPDATE integrations SET token_expires_at = (SELECT s.expires_at FROM integration_secrets s
        WHERE s.integration_id = ${id} AND s.field = ${secretColumns.accessToken} AND s.number = ${number}) WHERE id = ${id}`,
    )
    context.written.add('integration', id, 'token_expires_at')
  }
  await keepPrevious(context, at, { ...held, validUntil: new Date(validUntil) })
  await tx.execute(sql`UPDATE integration_secrets AS s SET valid_until = NULL, sealed = NULL, key_id = ${keyId}
    WHERE ${allVersions(at)} AND s.number = ${number}`)
  wroteVersion(context, at, number)
  return print
}
