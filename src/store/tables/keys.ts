import sql, { join, type Sql } from 'sql-template-tag'
import type { Instant } from '../../brands.ts'
import type { KeyPurpose } from '../../crypto/key-set.ts'
import type { KeyState, KnownKey } from '../../crypto/keyring.ts'
import { type Damageable, refuseDamaged } from '../../damage.ts'
import { databaseInvalid, IntegrationsError } from '../../errors.ts'
import { secretColumns, secretFields } from '../../integration.ts'
import { type AuditEvent, eventsOf, eventTexts, type Head } from '../audit/events.ts'
import type { Dialect } from '../database/driver.ts'
import { insertRow } from '../database/insert.ts'
import type { Columns, Statements, WritableStatements } from '../database/statements.ts'
import { currentSecret } from './integration-filter.ts'
import { countOf } from './page.ts'

/** The encryption modes, in the order in which a database passes through them. */
export const modes = ['off', 'migrating', 'required'] as const

/** How secrets are stored: as the application reads them, in part, or all encrypted. */
export type EncryptionMode = (typeof modes)[number]

/** What a database says of itself, as every change reads it. */
export interface Settings {
  /** A name that no other database has. */
  readonly id: string
  /** `own`, or `adopted` where an application owns workspaces and users. */
  readonly ownership: string
  /** null: not decided yet, which the first change does. */
  readonly mode: EncryptionMode | null
  readonly keys: readonly KnownKey[]
  /** Whether the head row is there, which holds the end of the audit log, and which every change locks. */
  readonly hasHead: boolean
  /** The end of the audit log. */
  readonly head: Head & {
    /** What vouches for all of this; null before a change has made it. */
    readonly mac: string | null
    /** Without a `mac`: the event that the row names, and the first of those beyond it that come with one. */
    readonly unvouched: readonly AuditEvent[]
  }
}

/** How many values each key encrypts, and how many are plain. */
export interface KeyUsage extends Damageable {
  /** Where it cannot be read, a text for people. */
  readonly keyId: string | null
  readonly current: number
  readonly previous: number
  /** Of those encrypted whatever the mode: the secrets of OAuth apps. */
  readonly apps: number
}

/** A key as a database knows it, with the time since when it does. */
export type DatedKey = KnownKey & { readonly createdAt: Instant }

/** A key as its row has it: what cannot be read, or is an unknown purpose, is a text for people. */
export type ListedKey = Omit<DatedKey, 'purpose'> & { readonly purpose: string } & Damageable

/** The id of the key that encrypts; null when none is active. */
export const activeKeyOf = (keys: readonly Pick<ListedKey, 'id' | 'purpose' | 'state'>[]): string | null =>
  keys.find(({ purpose, state }) => purpose === 'encryption' && state === 'active')?.id ?? null

/** What can be read of keys and settings. */
export interface KeyReader {
  /** The keys that this database knows, oldest first. @throws DATABASE_INVALID for an unknown purpose */
  list(): Promise<DatedKey[]>
  /** The same, with those that cannot be read. */
  rows(): Promise<ListedKey[]>
  /** The same, with the id that the database says it has: what a key source goes by. @throws DATABASE_INVALID for an unknown purpose */
  known(): Promise<{ readonly id: string; readonly keys: readonly DatedKey[] }>
  /** The id that the database says it has. */
  id(): Promise<string>
  /** The settings that decide how a change is made. @throws DATABASE_INVALID for an unknown encryption mode */
  settings(): Promise<Settings>
  /** How secrets are stored, whatever is wrong with the keys. @throws DATABASE_INVALID for an unknown encryption mode */
  mode(): Promise<EncryptionMode | null>
  /** How many values each key encrypts, as far as is recorded. */
  usage(): Promise<KeyUsage[]>
  /** Whether no change was ever made here: only then are keys generated. */
  isFresh(): Promise<boolean>
  /** Refuses a database role that may not change keys and the encryption mode, before anything is done. @throws NOT_PERMITTED */
  requireAdmin(): Promise<void>
  /** How many values the application has written that are not recorded yet. They are found by their columns. */
  unread(): Promise<number>
}

/** What can be changed of keys, and of the encryption mode. */
export interface KeyWriter {
  /** Makes a key known to this database. */
  insert(key: KnownKey, now: Date): Promise<void>
  /** Changes how a key may be used. */
  setState(id: string, state: KeyState): Promise<void>
  /** Changes how secrets are stored from now on. */
  setMode(mode: EncryptionMode, now: Date): Promise<void>
  /** Gives the database another id. */
  setId(id: string, now: Date): Promise<void>
}

/** Reads keys and settings. */
export function keyReader(db: Statements, dialect: Dialect): KeyReader {
  const { toRfc3339, role, mayUpdate } = dialect
  const rows = () =>
    db.queryAll<ListedKey>(
      {
        id: sql`k.id`,
        purpose: sql`k.purpose`,
        state: sql`k.state`,
        checkValue: sql`k.check_value`,
        createdAt: toRfc3339(sql`k.created_at`),
      },
      sql`FROM integration_keys k ORDER BY k.created_at, k.id`,
    )
  const setting = async (key: string) => {
    const [row] = await db.query<{ value: string }>(
      { value: sql`s.value` },
      sql`FROM integration_settings s WHERE s.key = ${key}`,
    )
    return row?.value ?? ''
  }
  const list = async () => refuseDamaged(await rows()).map((row) => ({ ...row, purpose: purposeOf(row.purpose) }))
  return {
    list,
    rows: async () =>
      (await rows()).map(({ purpose: stored, ...row }) => {
        const purpose = knownPurpose(stored)
        const isState = /^(active|decrypt-only|retired)$/.test(row.state)
        const damage = row.damage ?? [purpose ? [] : 'purpose', isState ? [] : 'state'].flat()
        return { ...row, purpose: purpose ?? stored, ...(damage.length > 0 ? { damage } : {}) }
      }),
    async known() {
      return { id: await setting('id'), keys: await list() }
    },
    id: () => setting('id'),
    settings: async () => settingsOf(await db.query(settingColumns(dialect), settingRows)),
    mode: async () => modeOf(await setting('sealing')),
    async usage() {
      const rows = await db.queryAll<{ keyId: string | null; current: bigint | number; previous: bigint | number }>(
        {
          keyId: sql`s.key_id`,
          current: sql`count(CASE WHEN s.valid_until IS NULL THEN 1 END)`,
          previous: sql`count(CASE WHEN s.valid_until IS NOT NULL THEN 1 END)`,
        },
        sql`FROM integration_secrets s WHERE s.valid_until IS NULL OR s.key_id IS NOT NULL GROUP BY s.key_id ORDER BY s.key_id`,
      )
      const apps = await db.queryAll<{ keyId: string; n: bigint | number }>(
        { keyId: sql`a.key_id`, n: sql`count(*)` },
        sql`FROM integration_apps a GROUP BY a.key_id ORDER BY a.key_id`,
      )
      const use = rows.map(({ keyId, current, previous, ...row }) => ({
        ...row,
        keyId,
        current: Number(current),
        previous: Number(previous),
        apps: Number(apps.find((one) => one.keyId === keyId)?.n ?? 0),
      }))
      const others = apps.filter((one) => !use.some(({ keyId }) => keyId === one.keyId))
      return [...use, ...others.map(({ n, ...row }) => ({ ...row, current: 0, previous: 0, apps: Number(n) }))]
    },
    async isFresh() {
      const encrypted = secretFields.map((field) => sql`${sql([`i.${secretColumns[field]}`])} LIKE 'eyJ%..%.%.%'`)
      return !(await db.some(sql`FROM integration_settings h WHERE (h.key = 'head' AND h.seq > 0)
        OR EXISTS (SELECT 1 FROM integration_keys) OR EXISTS (SELECT 1 FROM integration_events)
        OR EXISTS (SELECT 1 FROM integration_versions) OR EXISTS (SELECT 1 FROM integration_secrets)
        OR EXISTS (SELECT 1 FROM integrations i WHERE ${join(encrypted, ' OR ')}) LIMIT 1`))
    },
    async requireAdmin() {
      const [refused] = await db.query<{ role: string | null }>(
        { role },
        sql`FROM (SELECT 1 AS one) o WHERE NOT ${mayUpdate('integration_keys', 'state')}`,
      )
      if (refused)
        throw new IntegrationsError({
          code: 'NOT_PERMITTED',
          message: `the database role ${refused.role} may not change keys or the encryption mode`,
          hint: `ask the owner of the database for the role of integrations db roles that may: GRANT integrations_key_admin TO "${refused.role?.replaceAll('"', '""')}"`,
        })
    },
    async unread() {
      const rows = secretFields.map(
        (field) => sql`SELECT 1 FROM integrations i
          WHERE ${sql([`i.${secretColumns[field]}`])} IS NOT NULL AND NOT EXISTS (${currentSecret(field)})`,
      )
      return countOf(db, sql`(${join(rows, ' UNION ALL ')}) unread`)
    },
  }
}

/** A value for the head row alone. */
export const ofHead = (value: Sql) => sql`CASE WHEN s.key = 'head' THEN ${value} END`

/** How many events beyond a head without a MAC are read: junk rows may stand before one that tells. */
export const maxUnvouched = 100

/** What settings (`s`) are read from. */
export const settingColumns = (dialect: Dialect): Columns<SettingRow> => ({
  key: sql`s.key`,
  value: sql`s.value`,
  seq: dialect.whole(sql`s.seq`),
  mac: sql`s.mac`,
  keys: ofHead(
    dialect.jsonRows([sql`k.id`, sql`k.purpose`, sql`k.state`, sql`k.check_value`], sql`integration_keys k`),
  ),
  // In the same statement: an event of a change that is made meanwhile would tell against a head from before it.
  unvouched: ofHead(
    sql`CASE WHEN s.mac IS NULL THEN ${dialect.jsonRows(
      Object.values(eventTexts(dialect)),
      sql`(SELECT x.* FROM integration_events x WHERE x.seq >= s.seq AND (x.seq = s.seq OR x.format IS NOT NULL)
        ORDER BY x.seq LIMIT ${maxUnvouched}) e`,
    )} END`,
  ),
})
/** The rows of settings. */
export const settingRows = sql`FROM integration_settings s WHERE s.key IN ('id', 'database', 'sealing', 'head')`

/** The settings that their rows hold. @throws DATABASE_INVALID for an unknown encryption mode */
export function settingsOf(rows: readonly SettingRow[]): Settings {
  const row = (key: string) => rows.find((one) => one.key === key)
  const id = row('id')?.value ?? ''
  const head = row('head')
  const seq = BigInt(head?.seq ?? 0)
  return {
    id,
    ownership: row('database')?.value ?? '',
    mode: modeOf(row('sealing')?.value ?? ''),
    keys: knownKeys(head?.keys ?? null),
    hasHead: head !== undefined,
    head: {
      seq,
      hash: (seq === 0n ? id : head?.value) ?? '',
      mac: head?.mac ?? null,
      unvouched: eventsOf(head?.unvouched ?? null),
    },
  }
}

/** A row of the settings. */
export interface SettingRow {
  readonly key: string
  readonly value: string
  readonly seq: number | bigint | string
  readonly mac: string | null
  /** Of the head: the keys, as JSON. */
  readonly keys: string | null
  /** Of a head without a MAC: events, as JSON. */
  readonly unvouched: string | null
}

const knownKeys = (text: string | null): KnownKey[] =>
  (JSON.parse(text ?? '[]') as [string, string, KeyState, string][]).map(([id, purpose, state, checkValue]) => ({
    id,
    purpose: purposeOf(purpose),
    state,
    checkValue,
  }))

/** Changes keys and the encryption mode, within a transaction. */
export const keyWriter = (tx: WritableStatements): KeyWriter => ({
  async insert(key, now) {
    const { id, state, checkValue } = key
    const purpose = key.purpose === 'encryption' ? storedEncryption : key.purpose
    await insertRow(tx, 'integration_keys', { id, purpose, state, checkValue, createdAt: now })
  },
  async setState(id, state) {
    await tx.execute(sql`UPDATE integration_keys SET state = ${state} WHERE id = ${id}`)
  },
  async setMode(mode, now) {
    await tx.execute(sql`UPDATE integration_settings SET value = ${mode}, updated_at = ${now} WHERE key = 'sealing'`)
  },
  async setId(id, now) {
    await tx.execute(sql`UPDATE integration_settings SET value = ${id}, updated_at = ${now} WHERE key = 'id'`)
  },
})

/** What the column says of a key for encryption: its word is older than ours. */
const storedEncryption = 'seal'

function knownPurpose(stored: string): KeyPurpose | undefined {
  if (stored === storedEncryption) return 'encryption'
  return stored === 'fingerprint' || stored === 'audit' ? stored : undefined
}

/** @throws DATABASE_INVALID for a word that is not a purpose */
function purposeOf(stored: string): KeyPurpose {
  const purpose = knownPurpose(stored)
  if (purpose) return purpose
  throw databaseInvalid('integration_keys has a key of an unknown purpose', 'restore the table from a backup')
}

/** @throws DATABASE_INVALID for a word that is not a mode */
function modeOf(text: string): EncryptionMode | null {
  const mode = modes.find((known) => known === text)
  if (mode === undefined && text !== '') throw unknownMode()
  return mode ?? null
}

/** The encryption mode is an unknown word, or gone, so that what it allows is unknown. */
export const unknownMode = (): IntegrationsError =>
  databaseInvalid(
    'integration_settings has an unknown encryption mode',
    'restore it from a backup; integrations audit list --action keys shows what it was',
  )
