import sql, { empty, join } from 'sql-template-tag'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, encrypt } from '../../crypto/jwe.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { failpoint } from '../../failpoint.ts'
import { type Instant, type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { Dialect } from '../database/driver.ts'
import type { WritableStatements } from '../database/statements.ts'
import type { FingerprintChange } from '../tables/fingerprints.ts'
import type { EncryptionMode } from '../tables/keys.ts'
import { decryptRecorded } from './decrypt.ts'
import { type KnownVersion, readableColumn, readableText, unreadable } from './stored.ts'

/** When an access token ends: at an instant, never, or nobody said. */
export type Expiry = Instant | 'never' | 'unknown'

/** How a value came to be stored. */
export type SecretOrigin = 'generated' | 'provided' | 'refreshed' | 'application'

/** How many versions of a secret are remembered; older facts are in the audit log alone. */
const versionsKept = 10

/** A secret's current value, with what the database holds for it. */
export interface CurrentSecret {
  readonly value: Secret
  readonly fingerprint: string
  /** What the column holds: the value, or the sealed value. */
  readonly stored: string
  /** The key that seals what the column holds; null when nothing does. */
  readonly keyId: string | null
  readonly number: number
}

/** What a column holds that does not open, or is not what was recorded. */
export interface UnreadableSecret {
  readonly stored: string
  readonly fingerprint: null
}

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
  /** Until when the old value stays valid; now, or before: it ends at once, and is not kept. */
  readonly previousValidUntil: Date
}

/** What reading and changing secrets takes, within a transaction. */
export interface SecretContext {
  readonly tx: WritableStatements
  readonly dialect: Dialect
  readonly vault: Keyring
  readonly mode: EncryptionMode
  readonly now: Date
  /** Told what the application changed of an integration's secret, so that the audit log tells it. */
  readonly observe: (id: string, change: FingerprintChange) => void
}

/** What reads and changes secrets, within a transaction. What goes into the database is sealed here, and nowhere else. */
export function secretChanges({ tx, dialect, vault, mode, now, observe }: SecretContext) {
  const cell = (id: string, field: SecretField) => ({ id, field: secretColumns[field] })
  const current = (id: string, field: SecretField) => ({
    integrationId: id,
    field: secretColumns[field],
    validUntil: null,
  })

  /** What the column is to hold for a value, and the key that seals it; null for none. */
  async function columnValue(id: string, field: SecretField, value: Secret) {
    if (mode === 'off') return { text: value.reveal(), keyId: null }
    return { text: await encrypt(vault.encryptionKey, cell(id, field), value), keyId: vault.encryptionKey.id }
  }

  /** A value that is no longer to be current, as the table of versions keeps it: sealed, whatever the mode. */
  async function previousVersionValue(id: string, field: SecretField, { value, stored: text, keyId }: CurrentSecret) {
    if (keyId !== null) return { sealed: text, keyId }
    return { sealed: await encrypt(vault.encryptionKey, cell(id, field), value), keyId: vault.encryptionKey.id }
  }

  async function insert(
    id: string,
    field: SecretField,
    {
      expiry,
      ...facts
    }: {
      fingerprint: string
      keyId: string | null
      origin: SecretOrigin
      setBy: string | null
      expiry: Expiry
    },
  ): Promise<number> {
    const where = { integrationId: id, field: secretColumns[field] }
    const latest = await tx.models.integrationSecret.findFirst({
      where,
      orderBy: { number: 'desc' },
      select: { number: true },
    })
    const number = (latest?.number ?? 0) + 1
    const neverExpires = expiry === 'never'
    const expiresAt = neverExpires || expiry === 'unknown' ? null : new Date(expiry)
    await tx.models.integrationSecret.create({
      data: { ...where, number, ...facts, neverExpires, expiresAt, setAt: now },
      select: { number: true },
    })
    // One that is current or still valid stays: a rotation taken back again and again makes an old one current.
    await tx.models.integrationSecret.deleteMany({
      where: { ...where, number: { lte: number - versionsKept }, validUntil: { lte: now } },
    })
    return number
  }

  /** When the current access token ends, its column alone knows: the application may have written that since it was set. */
  const rememberExpiry = (id: string) =>
    tx.execute(
      sql`UPDATE integration_secrets SET expires_at = (SELECT i.token_expires_at FROM integrations i WHERE i.id = ${id})
        WHERE integration_id = ${id} AND field = ${secretColumns.accessToken} AND valid_until IS NULL`,
    )

  /** What the column of a secret of integrations holds, unopened, and its version; null for nothing. */
  async function stored(
    ids: readonly string[],
    field: SecretField,
  ): Promise<Map<string, { readonly text: string | null; readonly known: KnownVersion | null }>> {
    const column = secretColumns[field]
    const rows = await tx.query<{
      [name: string]: unknown
      id: string
      number: number | bigint | null
      fingerprint: string | null
      keyId: string | null
    }>(sql`SELECT i.id, ${readableColumn(dialect, sql([`i.${column}`]), 'text')}, s.number, s.fingerprint, s.key_id AS "keyId"
      FROM integrations i LEFT JOIN integration_secrets s ON s.integration_id = i.id AND s.field = ${column} AND s.valid_until IS NULL
      WHERE i.id IN (${join(ids)})`)
    return new Map(
      rows.map(({ id, number, fingerprint, keyId, ...row }) => [
        id,
        {
          text: readableText(row, 'text'),
          known: number === null ? null : { number: Number(number), fingerprint, keyId },
        },
      ]),
    )
  }

  /** Ends versions at once: their values are gone, their facts stay. */
  const expire = async (where: object): Promise<number> =>
    (await tx.models.integrationSecret.updateMany({ where, data: { validUntil: now, sealed: null, keyId: null } }))
      .count

  /** Opens a current value. One that is not what its version says was written by the application, and is recorded. */
  async function reconcile(
    id: string,
    field: SecretField,
    text: string,
    known: KnownVersion | null,
  ): Promise<CurrentSecret> {
    const { value, keyId, fingerprint: print } = await decryptRecorded(vault, mode, cell(id, field), text, known)
    if (known && known.fingerprint === print)
      return { value, fingerprint: print, stored: text, keyId, number: known.number }
    observe(id, { field: secretColumns[field], from: known?.fingerprint ?? null, to: print })
    if (known && known.fingerprint === null) {
      await tx.models.integrationSecret.updateMany({
        where: { ...current(id, field), number: known.number },
        data: { fingerprint: print },
      })
      return { value, fingerprint: print, stored: text, keyId, number: known.number }
    }
    await expire(current(id, field))
    const facts = { fingerprint: print, keyId, origin: 'application', setBy: null, expiry: 'unknown' } as const
    return { value, fingerprint: print, stored: text, keyId, number: await insert(id, field, facts) }
  }

  /** A value that the application has cleared is not current any more. */
  async function markCleared(id: string, field: SecretField, known: KnownVersion | null): Promise<void> {
    await expire(current(id, field))
    observe(id, { field: secretColumns[field], from: known?.fingerprint ?? null, to: null })
  }

  /** Reads what a column holds for several integrations at once; what comes back opens that of one, as `read` does. */
  async function readMany(ids: readonly string[], field: SecretField) {
    const found = await stored(ids, field)
    return async (id: string): Promise<CurrentSecret | undefined> => {
      const { text, known } = found.get(id) ?? { text: null, known: null }
      if (text !== null) return reconcile(id, field, text, known)
      if (known) await markCleared(id, field, known)
      return undefined
    }
  }

  return {
    columnValue,
    reconcile,

    /** A value that is not current, sealed anew with the active key. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
    reencrypt: async (id: string, field: SecretField, text: string, known: KnownVersion): Promise<string> =>
      encrypt(
        vault.encryptionKey,
        cell(id, field),
        (await decryptRecorded(vault, 'required', cell(id, field), text, known)).value,
      ),

    markCleared,

    /**
     * Reads and opens the current values of an integration. A value that the application wrote is recorded.
     *
     * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
     */
    async read(id: string, fields: readonly SecretField[]): Promise<{ [F in SecretField]?: CurrentSecret }> {
      const held: { [F in SecretField]?: CurrentSecret } = {}
      for (const field of fields) {
        const value = await (await readMany([id], field))(id)
        if (value) held[field] = value
      }
      return held
    },

    readMany,

    /** What the column of a secret holds, unopened: for a value that does not open, and is to be replaced all the same. */
    async readRaw(id: string, field: SecretField): Promise<UnreadableSecret | undefined> {
      const text = (await stored([id], field)).get(id)?.text ?? null
      return text === null ? undefined : { stored: text, fingerprint: null }
    },

    /**
     * Puts a value in the place of another and records the change.
     *
     * @returns the fingerprint of the new value; undefined, with nothing changed, when the column no longer holds the old one
     */
    async replace(id: string, change: SecretChange): Promise<string | undefined> {
      const { field, old, value, previousValidUntil } = change
      const { text, keyId } = await columnValue(id, field, value)
      const column = sql([secretColumns[field]])
      const holdsOld = !old
        ? sql`${column} IS NULL`
        : old.stored === unreadable
          ? dialect.isUnreadable(column)
          : sql`${column} = ${old.stored}`
      const count = await tx.execute(sql`UPDATE integrations SET ${column} = ${text} WHERE id = ${id} AND ${holdsOld}`)
      if (count !== 1) return undefined
      failpoint('column written')
      if (field === 'accessToken') await rememberExpiry(id)
      if (old && 'value' in old && previousValidUntil > now) {
        await tx.models.integrationSecret.updateMany({
          where: current(id, field),
          data: { validUntil: previousValidUntil, ...(await previousVersionValue(id, field, old)) },
        })
      } else await expire(current(id, field))
      failpoint('old value kept')
      const print = fingerprint(vault.fingerprintKey, value)
      await insert(id, field, {
        fingerprint: print,
        keyId,
        origin: change.origin,
        setBy: change.setBy,
        expiry: change.expiry,
      })
      return print
    },

    /**
     * The integrations that seem to hold a value; each has to be read to be sure, since the application may write.
     *
     * @param value itself, where it is known: what the application alone has written has no fingerprint yet
     */
    async sharing(field: SecretField, fingerprint: string, value?: Secret): Promise<string[]> {
      const plain =
        mode === 'required' || value === undefined
          ? empty
          : sql` UNION SELECT i.id FROM integrations i WHERE ${sql([`i.${secretColumns[field]}`])} = ${value.reveal()}`
      const rows = await tx.query<{ id: string }>(
        sql`SELECT s.integration_id AS id FROM integration_secrets s
          WHERE s.field = ${secretColumns[field]} AND s.fingerprint = ${fingerprint} AND s.valid_until IS NULL${plain} ORDER BY 1`,
      )
      return rows.map(({ id }) => id)
    },

    /** The newest version of a field that is not current and still valid. */
    previous: (id: string, field: SecretField) =>
      tx.models.integrationSecret.findFirst({
        where: { integrationId: id, field: secretColumns[field], validUntil: { gt: now } },
        orderBy: { number: 'desc' },
        select: { number: true, fingerprint: true, validUntil: true, lastMatchedAt: true },
      }),

    /** Whether the current value of a field was set, or seen for the first time, after an instant. */
    async setSince(id: string, field: SecretField, since: Instant): Promise<boolean> {
      const where = { ...current(id, field), setAt: { gt: new Date(since) } }
      return (await tx.models.integrationSecret.count({ where })) > 0
    },

    /** When the current version of a field last matched a request. */
    async currentMatchedAt(id: string, field: SecretField): Promise<Date | null> {
      const row = await tx.models.integrationSecret.findFirst({
        where: current(id, field),
        select: { lastMatchedAt: true },
      })
      return row?.lastMatchedAt ?? null
    },

    /** Ends at once every version of a field that is not current. @returns how many were still valid */
    finish: (id: string, field: SecretField): Promise<number> =>
      expire({ integrationId: id, field: secretColumns[field], validUntil: { gt: now } }),

    /**
     * Makes the previous version of a field current again; the one taken back stays valid for what is left of the window.
     * With an access token goes when it ends.
     *
     * @returns the fingerprint of the value that is current now; undefined when there is none to take back, or the
     *   column no longer holds what was read
     */
    async revert(id: string, field: SecretField, held: CurrentSecret): Promise<string | undefined> {
      const where = { integrationId: id, field: secretColumns[field] }
      const previous = await tx.models.integrationSecret.findFirst({
        where: { ...where, validUntil: { gt: now }, sealed: { not: null } },
        orderBy: { number: 'desc' },
        select: { number: true, sealed: true, keyId: true, validUntil: true },
      })
      if (!previous?.sealed) return undefined
      const value = await decrypt(vault.keys, cell(id, field), previous.sealed)
      const { text, keyId } = await columnValue(id, field, value)
      const { count } = await tx.models.integration.updateMany({
        where: { id, [field]: held.stored },
        data: { [field]: text },
      })
      if (count !== 1) return undefined
      if (field === 'accessToken') {
        await rememberExpiry(id)
        await tx.execute(
          sql`UPDATE integrations SET token_expires_at = (SELECT s.expires_at FROM integration_secrets s
            WHERE s.integration_id = ${id} AND s.field = ${secretColumns.accessToken} AND s.number = ${previous.number}) WHERE id = ${id}`,
        )
      }
      await tx.models.integrationSecret.updateMany({
        where: { ...where, number: held.number },
        data: { validUntil: previous.validUntil, ...(await previousVersionValue(id, field, held)) },
      })
      await tx.models.integrationSecret.updateMany({
        where: { ...where, number: previous.number },
        data: { validUntil: null, sealed: null, keyId },
      })
      return fingerprint(vault.fingerprintKey, value)
    },

    /** Forgets the values whose time is over. @returns how many */
    async purge(): Promise<number> {
      const { count } = await tx.models.integrationSecret.updateMany({
        where: { validUntil: { lte: now }, sealed: { not: null } },
        data: { sealed: null, keyId: null },
      })
      return count
    },
  }
}
