import sql, { join } from 'sql-template-tag'
import { type IntegrationId, instantOf } from '../../brands.ts'
import type { RootKey } from '../../crypto/key-set.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { databaseInvalid } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { refOf } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { WritableStatements } from '../database/statements.ts'
import {
  type Attribution,
  type AuditEvent,
  eventColumns,
  eventFormat,
  eventHash,
  type Head,
  type NewEvent,
  type Target,
} from './events.ts'
import { type FingerprintChange, fingerprintsText } from './fingerprints.ts'
import { statefulTypes } from './row-columns.ts'
import { stateReader } from './row-states.ts'
import type { WrittenColumns } from './written.ts'

const names = Object.keys(eventColumns) as (keyof AuditEvent)[]
const columnNames = join(names.map((name) => sql([eventColumns[name]])))

/** How many events one statement inserts: each has many columns, and the databases take so many values at once. */
const eventsAtOnce = 100

/** How many integrations are looked up at a time. */
const namedAtOnce = 500

/** What a change is recorded with. */
export interface Recording {
  readonly dialect: Dialect
  /** What the change has written. */
  readonly written: WrittenColumns
  /** The application owns its tables, and may write them. */
  readonly adopted: boolean
  readonly keyring: Keyring
  readonly head: Head
  /** Rows stand beyond the end of the log, which is none of this program's doing. Their numbers stay theirs. */
  readonly hasForeignRows: boolean
  /** The database's clock at the beginning of the transaction. */
  readonly now: Date
  readonly databaseRole: string | null
  readonly attribution: Attribution
}

/** Integrations as the targets of events. */
export async function integrationTargets(tx: WritableStatements, ids: readonly string[]): Promise<Target[]> {
  const names = new Map<string, string>()
  for (let i = 0; i < ids.length; i += namedAtOnce) {
    const named = await tx.queryAll<{ id: string; name: string; workspace: string }>(
      { id: sql`i.id`, name: sql`i.name`, workspace: sql`w.name` },
      sql`FROM integrations i JOIN workspaces w ON w.id = i.workspace_id WHERE i.id IN (${join(ids.slice(i, i + namedAtOnce))})`,
    )
    for (const one of named) names.set(one.id, refOf(one))
  }
  return ids.map((id) => ({ type: 'integration', id, name: names.get(id) ?? null }))
}

/** Gathers what is to be appended to the audit log, within a transaction that holds the head row. */
export function auditLog(
  tx: WritableStatements,
  { dialect, written, adopted, keyring, head, hasForeignRows, now, databaseRole, attribution }: Recording,
) {
  const requestId = crypto.randomUUID()
  let events: Omit<Record<keyof AuditEvent, unknown>, 'seq' | 'state' | 'previousHash' | 'hash'>[] = []
  const observed = new Map<string, FingerprintChange[]>()

  return {
    /** Keeps what the application changed of a secret of an integration for the next event about that integration. */
    observe: (id: IntegrationId, change: FingerprintChange): void =>
      void observed.set(id, [...(observed.get(id) ?? []), change]),

    /** Events of their own for what was observed of integrations about which nothing else was recorded. */
    async externalChanges(): Promise<NewEvent[]> {
      if (observed.size === 0) return []
      const targets = await integrationTargets(tx, [...observed.keys()])
      return targets.map((target) => ({ action: 'secret.external_change', target }))
    },

    /** Makes an event the last of the log, which `append` writes. What was observed of its target goes with it. */
    record({ target, fields, ...event }: NewEvent): void {
      const fingerprints = [...(observed.get(target.id) ?? []), ...(event.fingerprints ?? [])]
      observed.delete(target.id)
      events.push({
        at: now,
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
        format: eventFormat,
      })
    },

    /** How many events were recorded. */
    length: () => events.length,

    /**
     * The last step of a change: writes the events, and moves the head to the last of them.
     * Without any event, nothing is written.
     *
     * @param mac what vouches for the state of the database with this end of the log
     * @returns where the log ends then
     * @throws DATABASE_INVALID when the database has not kept one of them
     */
    async append(mac: (head: Head) => string): Promise<Head> {
      if (events.length === 0) return head
      let { seq, hash } = head
      const states = await statesOf({ tx, dialect, key: keyring.auditKey, written, adopted }, events)
      const stateOf = ({ targetType, targetId }: (typeof events)[number]) => states.get(`${targetType} ${targetId}`)
      // A row that cannot be read whole stops no other: what is known of its secrets stays what the log says.
      events = events.filter((event) => event.action !== stateRecorded || stateOf(event) !== undefined)
      if (events.length === 0) return head
      const numbers = hasForeignRows ? await freeNumbers({ tx, dialect }, head.seq, events.length) : undefined
      const rows = events.map((event, i) => {
        const previousHash = hash
        seq = numbers?.[i] ?? seq + 1n
        const whole = { ...event, seq, state: stateOf(event) ?? null }
        hash = eventHash(keyring, previousHash, asText(whole))
        const row: Record<keyof AuditEvent, unknown> = { ...whole, previousHash, hash }
        return sql`(${join(names.map((name) => row[name]))})`
      })
      // Prisma's model takes six times as long, and would use the one connection for several statements at once.
      for (let i = 0; i < rows.length; i += eventsAtOnce)
        await tx.execute(
          sql`INSERT INTO integration_events (${columnNames}) VALUES ${join(rows.slice(i, i + eventsAtOnce))}`,
        )
      failpoint('event inserted')
      // A trigger may have swallowed any of them, and says nothing.
      const kept =
        await tx.execute(sql`UPDATE integration_settings SET seq = ${seq}, value = ${hash}, mac = ${mac({ seq, hash })} WHERE key = 'head'
        AND (SELECT count(*) FROM integration_events e
          WHERE e.seq > ${head.seq} AND e.seq <= ${seq} AND e.request_id = ${requestId}) = ${rows.length}`)
      if (kept !== 1)
        throw databaseInvalid(
          'the database did not keep the event of this change, so nothing was changed',
          'look for triggers and rules on integration_events and integration_settings that are not of this program',
        )
      failpoint('head moved')
      return { seq, hash }
    },
  }
}

/** What events record of a row that this program has not written: an application's, or one that a version before has written. */
export const stateRecorded = 'state.recorded'

/** The action of events that acknowledge problems: their fields are the marks of the problems, or they are about a row. */
export const acknowledgeAction = 'audit.acknowledge'

/** The states of the rows that events are about after a change, as texts, by type and id. */
async function statesOf(
  {
    tx,
    dialect,
    ...options
  }: Pick<Recording, 'dialect' | 'written' | 'adopted'> & { readonly tx: WritableStatements; readonly key: RootKey },
  events: readonly { readonly targetType: unknown; readonly targetId: unknown; readonly action: unknown }[],
): Promise<Map<string, string>> {
  const states = new Map<string, string>()
  for (const type of statefulTypes) {
    const own = events.filter(({ targetType }) => targetType === type)
    if (own.length === 0) continue
    const ids = new Set(own.map(({ targetId }) => String(targetId)))
    const about = (action: string) =>
      new Set(own.filter((event) => event.action === action).map(({ targetId }) => String(targetId)))
    const asTheyAre = about(stateRecorded)
    const acknowledged = about(acknowledgeAction)
    for (const [id, state] of await stateReader(tx, dialect).after(type, [...ids], {
      ...options,
      asTheyAre,
      acknowledged,
    }))
      states.set(`${type} ${id}`, JSON.stringify(state))
  }
  return states
}

/** The columns that the chain covers, as texts. */
const asText = (event: Omit<Record<keyof AuditEvent, unknown>, 'previousHash' | 'hash'>): AuditEvent =>
  Object.fromEntries(
    Object.entries(event).map(([column, value]) => [
      column,
      value === null ? null : value instanceof Date ? instantOf(value) : String(value),
    ]),
  ) as unknown as AuditEvent

/** The lowest numbers after the end of the log that no row has. */
async function freeNumbers(
  { tx, dialect }: { readonly tx: WritableStatements; readonly dialect: Dialect },
  end: bigint,
  count: number,
): Promise<bigint[]> {
  // SQLite takes a text and a fraction for a number, too.
  const isNumber = sql`NOT ${dialect.isMalformed('whole', sql`e.seq`)}`
  const numbers: bigint[] = []
  for (let after = end; numbers.length < count; ) {
    const [gap] = await tx.query<{ first: string; taken: string | null }>(
      { first: sql`CAST(g.first AS TEXT)`, taken: sql`CAST(g.taken AS TEXT)` },
      sql`FROM (SELECT c.n AS first, (SELECT min(e.seq) FROM integration_events e WHERE e.seq > c.n AND ${isNumber}) AS taken
        FROM (SELECT CAST(${after + 1n} AS BIGINT) AS n UNION ALL SELECT e.seq + 1 FROM integration_events e
          WHERE e.seq > ${after} AND e.seq < ${Number.MAX_SAFE_INTEGER} AND ${isNumber}) c
        WHERE NOT EXISTS (SELECT 1 FROM integration_events e WHERE e.seq = c.n) ORDER BY c.n LIMIT 1) g`,
    )
    if (!gap) throw new Error('the audit log has no number left')
    const taken = gap.taken === null ? undefined : BigInt(gap.taken)
    for (let n = BigInt(gap.first); numbers.length < count && (taken === undefined || n < taken); n++) numbers.push(n)
    after = numbers.at(-1) ?? after
  }
  return numbers
}
