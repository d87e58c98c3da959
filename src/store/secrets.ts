import sql from 'sql-template-tag'
import type { Instant } from '../integration.ts'
import { type SecretField, secretFields } from '../platforms/platform.ts'
import { Secret } from '../secret.ts'
import type { Dialect } from './driver.ts'
import type { Statements, Transaction } from './statements.ts'

/** The column of a secret, which is also how its history names the field. */
export const secretColumns = { webhookSecret: 'webhook_secret', accessToken: 'access_token', refreshToken: 'refresh_token' } as const satisfies Record<SecretField, string>

const fieldOfColumn = new Map<string, SecretField>(secretFields.map((field) => [secretColumns[field], field]))

/** How a value came to be stored. */
export type SecretOrigin = 'generated' | 'provided'

/** How many versions of a secret are remembered; older facts are in the audit log alone. */
const versionsKept = 10

/** What is known of a field's current value, and of the one before it that is still accepted. */
export interface CurrentSecret {
  readonly current?: { readonly fingerprint: string | null; readonly setAt: Instant; readonly neverExpires: boolean }
  readonly previousValidUntil: Instant | null
}

/** The facts to record of a value that replaces another. */
export interface SecretChange {
  readonly field: SecretField
  /** The value read before; the column must still hold it. */
  readonly old: Secret | null
  readonly value: Secret | null
  readonly origin: SecretOrigin
  readonly setBy: string
  readonly neverExpires: boolean
}

/** The queries about what is known of secrets. They read no value. */
export function secretRows(db: Statements, { instant, time, timeOf, among }: Dialect) {
  return {
    /** The facts of the secrets of some integrations. No value is read. */
    async current(ids: readonly string[]): Promise<Map<string, Map<SecretField, CurrentSecret>>> {
      const facts = new Map<string, Map<SecretField, CurrentSecret>>()
      if (ids.length === 0) return facts
      const rows = await db.query<
        { id: string; field: string; fingerprint: string | null; setAt: Instant; neverExpires: boolean | number; validUntil: Instant | null }>(sql`SELECT s.integration_id AS id, s.field, s.fingerprint, ${instant(sql`s.set_at`)} AS "setAt", s.never_expires AS "neverExpires",
          ${instant(sql`s.valid_until`)} AS "validUntil"
        FROM integration_secrets s WHERE ${among(sql`s.integration_id`, ids)}
          AND (s.valid_until IS NULL OR ${time(sql`s.valid_until`)} > ${timeOf(new Date().toISOString())})`)
      for (const row of rows) {
        const field = fieldOfColumn.get(row.field)
        if (field === undefined) continue
        const fields = facts.get(row.id) ?? new Map<SecretField, CurrentSecret>()
        const known = fields.get(field) ?? { previousValidUntil: null }
        fields.set(
          field,
          row.validUntil === null
            ? { ...known, current: { fingerprint: row.fingerprint, setAt: row.setAt, neverExpires: Boolean(row.neverExpires) } }
            : { ...known, previousValidUntil: later(known.previousValidUntil, row.validUntil) },
        )
        facts.set(row.id, fields)
      }
      return facts
    },
  }
}

/** What reads and changes secrets, within a transaction. */
export function secretChanges(tx: Transaction) {
  return {
    /** The values that an integration's secret columns hold. */
    async values(id: string): Promise<Record<SecretField, Secret | null>> {
      const row = await tx.models.integration.findUnique({ where: { id }, select: { webhookSecret: true, accessToken: true, refreshToken: true } })
      const secret = (value: string | null | undefined) => (value ? new Secret(value) : null)
      return { webhookSecret: secret(row?.webhookSecret), accessToken: secret(row?.accessToken), refreshToken: secret(row?.refreshToken) }
    },

    /**
     * Replaces the value of a column and records the change; the old value is not kept.
     *
     * @returns false, with nothing changed, when the column no longer holds the old value
     */
    async replace(id: string, change: SecretChange, now: Date): Promise<boolean> {
      const { field, old, value } = change
      const { count } = await tx.models.integration.updateMany({
        where: { id, [field]: old?.reveal() ?? null },
        data: { [field]: value?.reveal() ?? null },
      })
      if (count !== 1) return false
      const column = secretColumns[field]
      await tx.models.integrationSecret.updateMany({ where: { integrationId: id, field: column, validUntil: null }, data: { validUntil: now } })
      if (value === null) return true
      const latest = await tx.models.integrationSecret.findFirst({
        where: { integrationId: id, field: column },
        orderBy: { number: 'desc' },
        select: { number: true },
      })
      const number = (latest?.number ?? 0) + 1
      await tx.models.integrationSecret.create({
        data: { integrationId: id, field: column, number, origin: change.origin, setAt: now, setBy: change.setBy, neverExpires: change.neverExpires },
        select: { number: true },
      })
      await tx.models.integrationSecret.deleteMany({ where: { integrationId: id, field: column, number: { lte: number - versionsKept } } })
      return true
    },
  }
}

const later = (a: Instant | null, b: Instant): Instant => (a !== null && a > b ? a : b)
