import sql, { type Sql } from 'sql-template-tag'
import { type Instant, type SecretField, secretFields } from '../integration.ts'
import { Secret } from '../secret.ts'
import type { Dialect } from './driver.ts'
import type { Transaction } from './statements.ts'

/** The column of a secret, which is also how its history names the field. */
export const secretColumns = {
  webhookSecret: 'webhook_secret',
  accessToken: 'access_token',
  refreshToken: 'refresh_token',
} as const satisfies Record<SecretField, string>

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

/** What is known of an integration's secrets, as `secretFacts` takes it; `id` is the integration's. No value is read. */
export function secretFactsText({ instant, time, timeOf, nested }: Dialect, id: Sql): Sql {
  const columns = [
    sql`s.field`,
    sql`s.fingerprint`,
    instant(sql`s.set_at`),
    sql`s.never_expires`,
    instant(sql`s.valid_until`),
  ]
  return nested(
    columns,
    sql`integration_secrets s WHERE s.integration_id = ${id} AND (s.valid_until IS NULL OR ${time(sql`s.valid_until`)} > ${timeOf(new Date().toISOString())})`,
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
  for (const [column, fingerprint, setAt, neverExpires, validUntil] of text === null
    ? []
    : (JSON.parse(text) as Facts[])) {
    const field = fieldOfColumn.get(column)
    if (field === undefined) continue
    const before = known.get(field) ?? { previousValidUntil: null }
    known.set(
      field,
      validUntil === null
        ? { ...before, current: { fingerprint, setAt, neverExpires: Boolean(neverExpires) } }
        : { ...before, previousValidUntil: later(before.previousValidUntil, validUntil) },
    )
  }
  return known
}

/** What reads and changes secrets, within a transaction. */
export function secretChanges(tx: Transaction) {
  return {
    /** The values that an integration's secret columns hold. */
    async values(id: string): Promise<Record<SecretField, Secret | null>> {
      const row = await tx.models.integration.findUnique({
        where: { id },
        select: { webhookSecret: true, accessToken: true, refreshToken: true },
      })
      const secret = (value: string | null | undefined) => (value == null ? null : new Secret(value))
      return {
        webhookSecret: secret(row?.webhookSecret),
        accessToken: secret(row?.accessToken),
        refreshToken: secret(row?.refreshToken),
      }
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
      await tx.models.integrationSecret.updateMany({
        where: { integrationId: id, field: column, validUntil: null },
        data: { validUntil: now },
      })
      if (value === null) return true
      const latest = await tx.models.integrationSecret.findFirst({
        where: { integrationId: id, field: column },
        orderBy: { number: 'desc' },
        select: { number: true },
      })
      const number = (latest?.number ?? 0) + 1
      await tx.models.integrationSecret.create({
        data: {
          integrationId: id,
          field: column,
          number,
          origin: change.origin,
          setAt: now,
          setBy: change.setBy,
          neverExpires: change.neverExpires,
        },
        select: { number: true },
      })
      await tx.models.integrationSecret.deleteMany({
        where: { integrationId: id, field: column, number: { lte: number - versionsKept } },
      })
      return true
    },
  }
}

const later = (a: Instant | null, b: Instant): Instant => (a !== null && a > b ? a : b)
