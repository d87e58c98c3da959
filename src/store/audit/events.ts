import sql, { join, type Sql } from 'sql-template-tag'
import type { Fingerprint, Instant } from '../../brands.ts'
import { eventMac } from '../../crypto/hmac.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import type { Damageable } from '../../damage.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns, Statements } from '../database/statements.ts'
import { type ListReader, listReader, type Source } from '../tables/page.ts'
import type { eventSorts } from '../tables/sorts.ts'
import type { Action } from './actions.ts'
import { type EventFilter, eventCondition } from './event-filter.ts'
import { type FingerprintChanges, fingerprintsOf } from './fingerprints.ts'

/** Who makes a change, as far as this process can tell; all of it is self-declared. */
export interface Attribution {
  /** What a CI system says of itself, as in `github:ana:1234`. */
  readonly ciIdentity: string | null
  readonly osUser: string
  readonly host: string
  readonly pid: number
  /** `--as` */
  readonly declaredAs: string | null
  /** `--reason` */
  readonly reason: string | null
  readonly programVersion: string
}

/** What an event is about. It keeps the name that it had then. */
export interface Target {
  readonly type: 'integration' | 'workspace' | 'user' | 'app' | 'finding' | 'policy' | 'key' | 'database'
  readonly id: string
  readonly name: string | null
}

/** An event to record. It never holds a value, nor the text of an error. */
export interface NewEvent {
  readonly action: Action
  /** Network actions and those that start another program are recorded before, as `started`, and after. */
  readonly outcome?: 'done' | 'started' | 'failed'
  readonly target: Target
  readonly fields?: readonly string[]
  readonly fingerprints?: FingerprintChanges
  readonly keyId?: string
  readonly versionBefore?: number
  readonly versionAfter?: number
  /** How many rows, where one event stands for several. */
  readonly count?: number
}

/** An event as the log holds it: every column as text, which is how the chain covers it. */
export type AuditEvent = { readonly [C in keyof typeof eventColumns]: string | null } & {
  readonly seq: string
  readonly at: Instant
  readonly action: string
  readonly outcome: string
  readonly targetType: string
  readonly osUser: string
  readonly host: string
  readonly previousHash: string
  readonly hash: string
}

/** The columns of the log in the order in which the chain covers them; it does not cover the two hashes themselves. */
export const eventColumns = {
  seq: 'seq',
  at: 'at',
  requestId: 'request_id',
  action: 'action',
  outcome: 'outcome',
  targetType: 'target_type',
  targetId: 'target_id',
  targetName: 'target_name',
  fields: 'fields',
  fingerprints: 'fingerprints',
  keyId: 'key_id',
  versionBefore: 'version_before',
  versionAfter: 'version_after',
  count: 'count',
  ciIdentity: 'ci_identity',
  osUser: 'os_user',
  host: 'host',
  pid: 'pid',
  databaseRole: 'database_role',
  declaredAs: 'declared_as',
  reason: 'reason',
  programVersion: 'program_version',
  state: 'state',
  format: 'format',
  previousHash: 'previous_hash',
  hash: 'hash',
} as const

/** What events are made as: their hash covers this and the state, too. Those of before have neither. */
export const eventFormat = 2

const covered = (Object.keys(eventColumns) as (keyof AuditEvent)[]).filter(
  (column) => column !== 'previousHash' && column !== 'hash',
)
const coveredBefore = covered.filter((column) => column !== 'format' && column !== 'state')

/** The hash that an event must have after another. */
export const eventHash = ({ auditKey }: Pick<Keyring, 'auditKey'>, previousHash: string, event: AuditEvent): string =>
  eventMac(
    auditKey,
    previousHash,
    (event.format === null ? coveredBefore : covered).map((column) => event[column]),
  )

/** Where the log ends. */
export interface Head {
  /** The number of the last event, 0 for none. */
  readonly seq: bigint
  /** The hash of the last event, or the id of the database before the first. */
  readonly hash: string
}

/** A way to name what events are about. An integration's name is that with its workspace, or its own alone. */
export interface TargetMatch {
  readonly by: 'id' | 'name' | 'idPrefix'
  readonly value: string
}

function targeting({ by, value }: TargetMatch): Sql {
  if (by === 'id') return sql`e.target_id = ${value}`
  if (by === 'idPrefix') return sql`substr(e.target_id, 1, ${[...value].length}) = ${value}`
  const end = `/${value}`
  return sql`(e.target_name = ${value} OR (e.target_type = 'integration'
    AND substr(e.target_name, length(e.target_name) - ${[...end].length - 1}) = ${end}))`
}

/** What can be read of the audit log. */
export interface AuditReader extends ListReader<EventFilter, AuditEvent> {
  /** Where the log ends, as the head row says. */
  head(): Promise<Head>
  /** The number of the event with a hash, where there is one. */
  numberOf(hash: string): Promise<bigint | undefined>
  /** The hash of the event with a number, where there is one. */
  hashOf(seq: bigint): Promise<string | undefined>
  /** What the last events about them tell that the columns of integrations hold: fingerprints, by id and column. */
  fingerprints(ids: readonly string[]): Promise<Map<string, Map<string, Fingerprint | null>>>
  /** The ids of what had a name when it was recorded, or has an id. */
  targets(match: TargetMatch): Promise<string[]>
  /** Since when the active encryption key has been the active one; null: from the beginning. */
  encryptionKeySince(): Promise<Instant | null>
}

/** The number of the newest event about a row. @param upTo beyond it, rows are none of this program's */
export const newestEvent = (
  type: Target['type'],
  id: Sql,
  upTo: Sql | bigint = sql`(SELECT h.seq FROM integration_settings h WHERE h.key = 'head')`,
): Sql =>
  sql`(SELECT max(x.seq) FROM integration_events x WHERE x.target_id = ${id} AND x.target_type = ${type} AND x.seq <= ${upTo})`

/** The columns of an event (`e`) as texts, which is how the chain covers them. */
export const eventTexts = ({ toRfc3339, asText }: Dialect): Columns<AuditEvent> =>
  Object.fromEntries(
    Object.entries(eventColumns).map(([name, column]) => {
      const own = sql([`e.${column}`])
      return [name, column === 'at' ? toRfc3339(own) : asText(own)]
    }),
  ) as Columns<AuditEvent>

/** Events of one cell, as `jsonRows` of `eventTexts` gives them. */
export const eventsOf = (text: string | null): AuditEvent[] =>
  (JSON.parse(text ?? '[]') as (string | null)[][]).map(
    (cells) =>
      Object.fromEntries(Object.keys(eventColumns).map((name, i) => [name, cells[i]])) as unknown as AuditEvent,
  )

/** How many events are read for their fingerprints at a time: integrations that are refreshed for years have many. */
const fingerprintsAtOnce = 2_500

/** Reads the audit log. */
export function auditReader(db: Statements, dialect: Dialect): AuditReader {
  const { toRfc3339, whole } = dialect
  const columns = eventTexts(dialect)
  const source: Source<AuditEvent> = {
    columns,
    from: sql`integration_events e`,
    id: sql`e.seq`,
    idField: 'seq',
    idKey: sql`e.seq`,
    keys: { seq: sql`e.seq` } satisfies Record<(typeof eventSorts)[number], Sql>,
  }
  const condition = (filter: EventFilter) => eventCondition(filter, dialect)
  return {
    ...listReader({ db, dialect, source, condition, toRow: (event: AuditEvent & Damageable) => event }),
    async head() {
      const [row] = await db.query<{ key: string; seq: bigint | number; value: string; id: string }>(
        { key: sql`h.key`, seq: whole(sql`h.seq`), value: sql`h.value`, id: sql`i.value` },
        sql`FROM integration_settings h JOIN integration_settings i ON i.key = 'id' WHERE h.key = 'head'`,
      )
      const seq = BigInt(row?.seq ?? 0)
      return { seq, hash: (seq === 0n ? row?.id : row?.value) ?? '' }
    },
    async numberOf(hash) {
      const [row] = await db.query<{ seq: bigint | number }>(
        { seq: whole(sql`e.seq`) },
        sql`FROM integration_events e WHERE e.hash = ${hash} LIMIT 1`,
      )
      return row && BigInt(row.seq)
    },
    async hashOf(seq) {
      const [row] = await db.queryAll<{ hash: string }>(
        { hash: sql`e.hash` },
        sql`FROM integration_events e WHERE e.seq = ${seq}`,
      )
      return row?.hash
    },
    async fingerprints(ids) {
      const told = new Map(ids.map((id) => [id, new Map<string, Fingerprint | null>()]))
      if (ids.length === 0) return told
      for (let after = 0; ; ) {
        const { rows, after: more } = await db.queryPage<{
          id: string
          fingerprints: string
          seq: bigint | number | string
        }>(
          { id: sql`e.target_id`, fingerprints: sql`e.fingerprints`, seq: whole(sql`e.seq`) },
          sql`FROM integration_events e WHERE e.target_id IN (${join(ids)}) AND e.fingerprints IS NOT NULL
            AND e.seq > ${after} ORDER BY e.seq LIMIT ${fingerprintsAtOnce}`,
        )
        for (const { id, fingerprints } of rows)
          for (const { field, to } of fingerprintsOf(fingerprints)) told.get(id)?.set(field, to)
        after = Number(rows.at(-1)?.seq)
        if ((more === 0 && rows.length < fingerprintsAtOnce) || !(after > 0)) return told
      }
    },
    async targets(match) {
      const rows = await db.queryAll<{ id: string }>(
        { id: sql`e.target_id` },
        sql`FROM integration_events e WHERE ${targeting(match)} GROUP BY e.target_id ORDER BY e.target_id`,
      )
      return rows.map(({ id }) => id)
    },
    async encryptionKeySince() {
      const [row] = await db.query<{ at: Instant }>(
        { at: toRfc3339(sql`e.at`) },
        sql`FROM integration_events e WHERE e.action = 'keys.activate' AND e.outcome = 'done' ORDER BY e.seq DESC LIMIT 1`,
      )
      return row?.at ?? null
    },
  }
}
