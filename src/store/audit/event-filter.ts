import sql, { join, type Sql } from 'sql-template-tag'
import type { Instant } from '../../brands.ts'
import type { Dialect } from '../database/driver.ts'
import { all } from '../tables/page.ts'
import { type Action, actionsWithoutChange, formerActions } from './actions.ts'

/** Which events to list. Conditions combine. */
export interface EventFilter {
  readonly targetIds?: readonly string[] | undefined
  /** An action, or its noun alone for all that was done to such things. Older events have the former name. */
  readonly action?: string | undefined
  /** Only what was done and changed something. */
  readonly changesOnly?: boolean
  /** What was changed or read, as the name of a column. */
  readonly field?: string | undefined
  /** The verdict of a platform on an access token. */
  readonly verdict?: string | undefined
  /** A literal part of who is said to have done it, ASCII case ignored. */
  readonly actor?: string | undefined
  readonly seq?: bigint | undefined
  /** Those about the same thing as an event, and before it. */
  readonly before?: { readonly seq: string; readonly targetType: string; readonly targetId: string | null } | undefined
  readonly since?: Instant | undefined
  /** Before this instant. */
  readonly until?: Instant | undefined
}

const namesOf = (action: string): readonly string[] => [action, formerActions[action as Action] ?? action]

/** A condition that a column, whose parts have commas between them, has one that begins so. */
const hasPart = ({ contains }: Dialect, column: Sql, start: string): Sql =>
  contains(sql`',' || COALESCE(${column}, '') || ','`, `,${start}`)

/** The condition of SQL that events (`e`) meet which a filter leaves. */
export function eventCondition(filter: EventFilter, dialect: Dialect): Sql {
  const { targetIds, seq, before, action, changesOnly, field, verdict, actor, since, until } = filter
  const { comparableTime, timeLiteral, contains } = dialect
  const conditions: Sql[] = []
  if (targetIds !== undefined)
    conditions.push(targetIds.length === 0 ? sql`1 = 0` : sql`e.target_id IN (${join(targetIds)})`)
  if (seq !== undefined) conditions.push(sql`e.seq = ${seq}`)
  if (before !== undefined)
    conditions.push(
      sql`(e.target_id = ${before.targetId} AND e.target_type = ${before.targetType} AND e.seq < ${BigInt(before.seq)})`,
    )
  if (action !== undefined)
    conditions.push(
      sql`(e.action IN (${join(namesOf(action))}) OR substr(e.action, 1, ${[...action].length + 1}) = ${`${action}.`})`,
    )
  if (changesOnly) conditions.push(sql`(e.outcome = 'done' AND e.action NOT IN (${join(actionsWithoutChange)}))`)
  const anyPart = (parts: readonly string[]) => parts.map((part) => hasPart(dialect, sql`e.fields`, `${part},`))
  if (field !== undefined) {
    // A signature with a previous secret names the secret so.
    const named = anyPart([field, `previous_${field}`])
    // A label is named with its key.
    const labelled = hasPart(dialect, sql`e.fields`, `${field}.`)
    conditions.push(sql`(${join([...named, labelled, hasPart(dialect, sql`e.fingerprints`, `${field}=`)], ' OR ')})`)
  }
  if (verdict !== undefined)
    conditions.push(sql`(${join(anyPart([`verdict:${verdict}`, `access_token:${verdict}`]), ' OR ')})`)
  if (actor !== undefined) {
    const actors = [
      sql`e.ci_identity`,
      sql`'os:' || e.os_user || '@' || e.host`,
      sql`e.declared_as`,
      sql`e.database_role`,
    ]
    const named = actors.map((text) => contains(sql`COALESCE(${text}, '')`, actor))
    conditions.push(sql`(${join(named, ' OR ')})`)
  }
  if (since !== undefined) conditions.push(sql`${comparableTime(sql`e.at`)} >= ${timeLiteral(since)}`)
  if (until !== undefined) conditions.push(sql`${comparableTime(sql`e.at`)} < ${timeLiteral(until)}`)
  return all(conditions)
}
