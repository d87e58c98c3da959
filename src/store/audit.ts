import sql, { join, type Sql } from 'sql-template-tag'
import { type IntegrationId, instantOf } from '../brands.ts'
import { eventMac } from '../crypto/hmac.ts'
import type { Keyring } from '../crypto/keyring.ts'
import { failpoint } from '../failpoint.ts'
import { refOf } from '../integration.ts'
import type { WritableStatements } from './database/statements.ts'
import { type Attribution, type AuditEvent, eventColumns, type Head, type NewEvent } from './tables/events.ts'
import { type FingerprintChange, fingerprintsText } from './tables/fingerprints.ts'

const names = Object.keys(eventColumns) as (keyof AuditEvent)[]
const covered = names.filter((column) => column !== 'previousHash' && column !== 'hash')
const columnNames = join(names.map((name) => sql([eventColumns[name]])))

/** How many events one statement inserts: each has many columns, and the databases take so many values at once. */
const eventsAtOnce = 100

/** The hash that an event must have after another. */
export const eventHash = ({ auditKey }: Pick<Keyring, 'auditKey'>, previousHash: string, event: AuditEvent): string =>
  eventMac(
    auditKey,
    previousHash,
    covered.map((column) => event[column]),
  )

/** What a change is recorded with. */
export interface Recording {
  readonly keyring: Keyring
  readonly head: Head
  /** The database's clock at the beginning of the transaction. */
  readonly now: Date
  readonly databaseRole: string | null
  readonly attribution: Attribution
}

/** Gathers what is to be appended to the audit log, within a transaction that holds the head row. */
export function auditLog(tx: WritableStatements, { keyring, head, now, databaseRole, attribution }: Recording) {
  let { seq, hash } = head
  const requestId = crypto.randomUUID()
  const events: Sql[] = []
  const observed = new Map<string, FingerprintChange[]>()

  return {
    /** Keeps what the application changed of a secret of an integration for the next event about that integration. */
    observe: (id: IntegrationId, change: FingerprintChange): void =>
      void observed.set(id, [...(observed.get(id) ?? []), change]),

    /** Events of their own for what was observed of integrations about which nothing else was recorded. */
    async externalChanges(): Promise<NewEvent[]> {
      if (observed.size === 0) return []
      const ids = [...observed.keys()]
      const named = await tx.queryAll<{ id: string; name: string; workspace: string }>(
        { id: sql`i.id`, name: sql`i.name`, workspace: sql`w.name` },
        sql`FROM integrations i JOIN workspaces w ON w.id = i.workspace_id WHERE i.id IN (${join(ids)})`,
      )
      const names = new Map(named.map((one) => [one.id, refOf(one)]))
      return ids.map((id) => ({
        action: 'secret.external_change',
        target: { type: 'integration', id, name: names.get(id) ?? null },
      }))
    },

    /** Makes an event the last of the log, which `append` writes. What was observed of its target goes with it. */
    record({ target, fields, ...event }: NewEvent): void {
      const fingerprints = [...(observed.get(target.id) ?? []), ...(event.fingerprints ?? [])]
      observed.delete(target.id)
      const previousHash = hash
      seq += 1n
      const columns = {
        requestId,
        action: event.action,
        outcome: event.outcome ?? 'done',
        targetType: target.type,
        targetId: target.id,
        targetName: target.name,
        fields: fields && fields.length > 0 ? fields.join(',') : null,
        fingerprints: fingerprints.length > 0 ? fingerprintsText(fingerprints) : null,
        keyId: event.keyId ?? null,
        versionBefore: event.versionBefore ?? null,
        versionAfter: event.versionAfter ?? null,
        count: event.count ?? null,
        databaseRole,
        ...attribution,
      }
      const text = Object.fromEntries(
        Object.entries(columns).map(([column, value]) => [column, value === null ? null : String(value)]),
      )
      hash = eventHash(keyring, previousHash, {
        ...text,
        seq: String(seq),
        at: instantOf(now),
      } as unknown as AuditEvent)
      const row: Record<keyof AuditEvent, unknown> = { ...columns, seq, at: now, previousHash, hash }
      events.push(sql`(${join(names.map((name) => row[name]))})`)
    },

    /** How many events were recorded. */
    length: () => events.length,

    /**
     * The last step of a change: writes the events, and moves the head to the last of them.
     * Without any event, nothing is written.
     */
    async append(): Promise<void> {
      if (events.length === 0) return
      // Prisma's model takes six times as long, and would use the one connection for several statements at once.
      for (let i = 0; i < events.length; i += eventsAtOnce)
        await tx.execute(
          sql`INSERT INTO integration_events (${columnNames}) VALUES ${join(events.slice(i, i + eventsAtOnce))}`,
        )
      failpoint('event inserted')
      await tx.execute(sql`UPDATE integration_settings SET seq = ${seq}, value = ${hash} WHERE key = 'head'`)
      failpoint('head moved')
    },
  }
}
