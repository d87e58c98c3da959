import sql, { join, type Sql } from 'sql-template-tag'
import type { Instant } from '../integration.ts'
import type { Dialect } from './driver.ts'
import { all, countRows, type Page, readPage, type Source } from './page.ts'
import type { eventSorts } from './sorts.ts'
import type { Statements } from './statements.ts'

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
  readonly type: 'integration' | 'workspace' | 'user' | 'key' | 'database'
  readonly id: string
  readonly name: string | null
}

/** A fingerprint before and after, by field; null for no value. */
export type FingerprintChanges = readonly {
  readonly field: string
  readonly from: string | null
  readonly to: string | null
}[]

/** An event to record. It never holds a value, nor the text of an error. */
export interface NewEvent {
  /** A noun and a verb, as in `integration.add`. */
  readonly action: string
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
  previousHash: 'previous_hash',
  hash: 'hash',
} as const

/** Where the log ends. */
export interface Head {
  /** The number of the last event, 0 for none. */
  readonly seq: bigint
  /** The hash of the last event, or the id of the database before the first. */
  readonly hash: string
}

/** Which events to list. Conditions combine. */
export interface EventFilter {
  readonly targetId?: string
  readonly action?: string
  /** A literal part of who is said to have done it. */
  readonly actor?: string
  readonly since?: Instant
  readonly until?: Instant
}

/** The queries about the audit log. */
export function auditRows(db: Statements, dialect: Dialect) {
  const { instant, time, timeOf, contains, text } = dialect
  const columns = Object.entries(eventColumns).map(([name, column]) => {
    const own = sql([`e.${column}`])
    const value = column === 'at' ? instant(own) : text(own)
    return sql`${value} AS ${sql([`"${name}"`])}`
  })
  const source: Source = {
    columns: join(columns),
    from: sql`integration_events e`,
    id: sql`e.seq`,
    keys: { seq: sql`e.seq` } satisfies Record<(typeof eventSorts)[number], Sql>,
  }
  const condition = ({ targetId, action, actor, since, until }: EventFilter) =>
    all([
      ...(targetId === undefined ? [] : [sql`e.target_id = ${targetId}`]),
      ...(action === undefined ? [] : [sql`(e.action = ${action} OR ${contains(sql`e.action`, `${action}.`)})`]),
      ...(actor === undefined
        ? []
        : [
            sql`(${join(
              ['ci_identity', 'os_user', 'declared_as', 'database_role'].map((column) =>
                contains(sql`COALESCE(${sql([`e.${column}`])}, '')`, actor),
              ),
              ' OR ',
            )})`,
          ]),
      ...(since === undefined ? [] : [sql`${time(sql`e.at`)} >= ${timeOf(since)}`]),
      ...(until === undefined ? [] : [sql`${time(sql`e.at`)} < ${timeOf(until)}`]),
    ])

  return {
    /** Hands on the events of a page, in order. */
    list: (filter: EventFilter, page: Page, onRows: (rows: AuditEvent[]) => Promise<void>): Promise<void> =>
      readPage<AuditEvent>(db, dialect, source, condition(filter), page, onRows),

    /** How many events a filter leaves, from where the page begins. */
    count: (filter: EventFilter, page: Page): Promise<number> =>
      countRows(db, dialect, source, condition(filter), page),

    /** Where the log ends, as the head row says. */
    async head(): Promise<Head> {
      const [row] = await db.query<{ seq: bigint | number; hash: string }>(
        sql`SELECT h.seq, CASE WHEN h.seq = 0 THEN i.value ELSE h.value END AS hash
          FROM integration_settings h JOIN integration_settings i ON i.key = 'id' WHERE h.key = 'head'`,
      )
      return { seq: BigInt(row?.seq ?? 0), hash: row?.hash ?? '' }
    },

    /** The ids that a past or present name of something stands for in the log. */
    async targets(name: string, limit: number): Promise<string[]> {
      const rows = await db.query<{ id: string }>(
        sql`SELECT DISTINCT e.target_id AS id FROM integration_events e WHERE e.target_id = ${name} OR e.target_name = ${name} LIMIT ${limit}`,
      )
      return rows.map(({ id }) => id)
    },
  }
}

/** Reads the fingerprints of an event. */
export const fingerprintsOf = (text: string | null): FingerprintChanges =>
  (text ?? '').split(',').flatMap((part) => {
    const [, field, from, to] = /^(\w+)=([\w-]+)>([\w-]+)$/.exec(part) ?? []
    if (field === undefined || from === undefined || to === undefined) return []
    return [{ field, from: from === '-' ? null : from, to: to === '-' ? null : to }]
  })
