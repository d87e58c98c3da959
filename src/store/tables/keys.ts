import sql, { join } from 'sql-template-tag'
import type { KeyPurpose } from '../../crypto/key-set.ts'
import type { KeyState, KnownKey } from '../../crypto/keyring.ts'
import { IntegrationsError } from '../../errors.ts'
import { type Instant, secretColumns, secretFields } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'

/** How secrets are stored: as the application reads them, in part, or sealed without exception. */
export type EncryptionMode = 'off' | 'migrating' | 'required'

/** What a database says of itself, as every change reads it. */
export interface Settings {
  /** A name that no other database has. */
  readonly id: string
  /** null: not decided yet, which the first change does. */
  readonly mode: EncryptionMode | null
  /** When an endpoint that accepts old and new values last reported in. */
  readonly receiverSeenAt: Instant | null
}

/** How many values each key seals, and how many nothing does. */
export interface KeyUsage {
  readonly keyId: string | null
  readonly current: number
  readonly previous: number
  /** Of those sealed whatever the mode: the secrets of OAuth apps. */
  readonly apps: number
}

/** A key as a database knows it, with the time when it was told of it. */
export type DatedKey = KnownKey & { readonly createdAt: Instant }

/** The queries about keys and how they are used. */
export function keyRows(db: Statements, dialect: Dialect) {
  return {
    /** The keys that this database knows, oldest first. */
    async list(): Promise<DatedKey[]> {
      return db.query(
        sql`SELECT k.id, k.purpose, k.state, k.check_value AS "checkValue", ${dialect.toRfc3339(sql`k.created_at`)} AS "createdAt"
          FROM integration_keys k ORDER BY k.created_at, k.id`,
      )
    },

    /** Since when the key that seals now has been the one that does; null: from the beginning. */
    async activeSince(): Promise<Instant | null> {
      const [row] = await db.query<{ at: Instant }>(
        sql`SELECT ${dialect.toRfc3339(sql`e.at`)} AS at FROM integration_events e
          WHERE e.action = 'keys.activate' AND e.outcome = 'done' ORDER BY e.seq DESC LIMIT 1`,
      )
      return row?.at ?? null
    },

    /** The settings that decide how a change is made. */
    async settings(): Promise<Settings> {
      const rows = await db.query<{ key: string; value: string; at: Instant }>(
        sql`SELECT s.key, s.value, ${dialect.toRfc3339(sql`s.updated_at`)} AS at FROM integration_settings s
          WHERE s.key IN ('id', 'sealing', 'receiver')`,
      )
      const value = (key: string) => rows.find((row) => row.key === key)?.value ?? ''
      return {
        id: value('id'),
        mode: modeOf(value('sealing')),
        receiverSeenAt: rows.find(({ key }) => key === 'receiver')?.at ?? null,
      }
    },

    /** How many values each key seals, as far as is recorded. */
    async usage(): Promise<KeyUsage[]> {
      const rows = await db.query<{ keyId: string | null; current: bigint | number; previous: bigint | number }>(
        sql`SELECT s.key_id AS "keyId", count(CASE WHEN s.valid_until IS NULL THEN 1 END) AS current,
          count(CASE WHEN s.valid_until IS NOT NULL THEN 1 END) AS previous FROM integration_secrets s
          WHERE s.valid_until IS NULL OR (s.key_id IS NOT NULL AND ${dialect.comparableTime(sql`s.valid_until`)} > ${dialect.comparableTime(dialect.now)}) GROUP BY s.key_id ORDER BY s.key_id`,
      )
      const apps = await db.query<{ keyId: string; n: bigint | number }>(
        sql`SELECT a.key_id AS "keyId", count(*) AS n FROM integration_apps a GROUP BY a.key_id ORDER BY a.key_id`,
      )
      const use = rows.map(({ keyId, current, previous }) => ({
        keyId,
        current: Number(current),
        previous: Number(previous),
        apps: Number(apps.find((one) => one.keyId === keyId)?.n ?? 0),
      }))
      const others = apps.filter((one) => !use.some(({ keyId }) => keyId === one.keyId))
      return [...use, ...others.map(({ keyId, n }) => ({ keyId, current: 0, previous: 0, apps: Number(n) }))]
    },

    /** How many values the application has written that nobody has read yet. They are found by their columns. */
    async unread(): Promise<number> {
      const counts = secretFields.map((field) => {
        const column = secretColumns[field]
        return sql`(SELECT count(*) FROM integrations i WHERE ${sql([`i.${column}`])} IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM integration_secrets s WHERE s.integration_id = i.id AND s.field = ${column} AND s.valid_until IS NULL))`
      })
      const [row] = await db.query<{ n: bigint | number }>(sql`SELECT ${join(counts, ' + ')} AS n`)
      return Number(row?.n ?? 0)
    },
  }
}

/** What changes keys and the sealing mode, within a transaction. */
export function keyChanges(tx: WritableStatements) {
  return {
    /** Makes a key known to this database. */
    async insert(id: string, purpose: KeyPurpose, state: KeyState, checkValue: string, now: Date): Promise<void> {
      await tx.models.integrationKey.create({
        data: { id, purpose, state, checkValue, createdAt: now },
        select: { id: true },
      })
    },

    /** Changes how a key may be used. */
    async setState(id: string, state: KeyState): Promise<void> {
      await tx.models.integrationKey.updateMany({ where: { id }, data: { state } })
    },

    /** Changes how secrets are stored from now on. */
    async setMode(mode: EncryptionMode, now: Date): Promise<void> {
      await tx.models.integrationSetting.updateMany({
        where: { key: 'sealing' },
        data: { value: mode, updatedAt: now },
      })
    },
  }
}

/** @throws DATABASE_INVALID for a word that is no mode */
function modeOf(text: string): EncryptionMode | null {
  if (text === '') return null
  if (text === 'off' || text === 'migrating' || text === 'required') return text
  throw unknownMode()
}

/** The sealing mode is no word that is known, or gone: what it would allow nobody can say. */
export const unknownMode = (): IntegrationsError =>
  new IntegrationsError({
    code: 'DATABASE_INVALID',
    message: 'integration_settings has no known sealing mode',
    hint: 'restore it from a backup; integrations audit list --action keys tells what it was',
  })
