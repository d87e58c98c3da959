/** What shows whether integrations work: what platforms said of their tokens, and refused webhooks. @module */
import sql, { join, type Sql } from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import type { Damageable } from '../../damage.ts'
import type { IntegrationView, LastCheck, ListedIntegration, RefusedWebhooks } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** What is stored of an integration, as `healthText` selects it; null or no row where nothing is. */
export interface HealthRow {
  readonly health: string | null
}

/** The cells of a row in `HealthRow`, in the order of `healthText`. */
type HealthCells = readonly [
  verdict: string | null,
  code: string | null,
  fingerprint: string | null,
  checkedAt: Instant | null,
  count: number | string | null,
  since: Instant | null,
  lastAt: Instant | null,
  reason: string | null,
]

/** The verdict of a platform on an access token. */
export interface CheckVerdict extends Pick<LastCheck, 'verdict' | 'code'> {
  /** Of the token. */
  readonly fingerprint: Fingerprint
}

/** Webhooks for an integration that were refused since that was last written down. */
export interface Refusal {
  /** Of the integration. */
  readonly id: IntegrationId
  readonly count: number
  /** When the first of them came, and the last, by the database's clock. */
  readonly firstAt: Date
  readonly lastAt: Date
  /** Why the last one was refused: the reason of an outcome. */
  readonly reason: string
}

/** What a change can write of health. */
export interface HealthWriter {
  /** Puts the verdict of a platform in the place of the last one. Nothing of an integration that is gone. */
  checked(id: IntegrationId, verdict: CheckVerdict): Promise<void>
}

/** What a receiver can write of health. */
export interface RefusalWriter {
  /**
   * Adds refused webhooks to what is known, at most one item of each integration; those of integrations that are gone are left out.
   *
   * @param mayCount is asked before the counts are sent, which must not be done twice: false has them left
   */
  refused(refusals: readonly Refusal[], mayCount: () => boolean): Promise<void>
}

/** For how long no webhook was refused when the next one begins a new count, in milliseconds. */
const quietMs = 86_400_000

/** The largest number that a count can be on PostgreSQL; a count stays as it is where it would be larger. */
const largestCount = 2_147_483_647

/** What is stored of an integration, in one cell: few have anything, and a list would take its time for eight. */
export const healthText = ({ whole, toRfc3339, jsonRows }: Dialect, id: Sql): Sql =>
  jsonRows(
    [
      ...[sql`h.check_verdict`, sql`h.check_code`, sql`h.check_fingerprint`, toRfc3339(sql`h.checked_at`)],
      ...[whole(sql`h.refused_count`), toRfc3339(sql`h.refused_since`), toRfc3339(sql`h.refused_at`)],
      sql`h.refused_reason`,
    ],
    sql`integration_health h WHERE h.integration_id = ${id}`,
  )

/** What lists show of health. */
type Health = Pick<ListedIntegration, 'lastCheck' | 'refusedWebhooks'>

/** An integration with its health. Where some of that cannot be read, nothing of it is shown, and the damage says so. */
export function joinHealth(
  integration: IntegrationView,
  { health, damage }: HealthRow & Damageable,
): IntegrationView & Health {
  const [cells] = health === null || damage?.includes('health') ? [] : (JSON.parse(health) as readonly HealthCells[])
  return Object.assign(integration, {
    lastCheck: cells ? lastCheckOf(cells, integration.accessToken.fingerprint) : null,
    refusedWebhooks: cells ? refusedWebhooksOf(cells) : null,
  })
}

/** The verdict on a token says nothing of the one that took its place. */
function lastCheckOf([verdict, code, checked, at]: HealthCells, fingerprint: Fingerprint | null): LastCheck | null {
  if (verdict === null || at === null || checked === null || checked !== fingerprint) return null
  return { verdict, code, at }
}

function refusedWebhooksOf([, , , , count, since, lastAt, lastReason]: HealthCells): RefusedWebhooks | null {
  if (count === null || since === null || lastAt === null || lastReason === null) return null
  return { count: Number(count), since, lastAt, lastReason }
}

/** Writes what platforms said, within a transaction. */
export const healthWriter = (tx: Statements, now: Date): HealthWriter => ({
  async checked(id, { verdict, code, fingerprint }) {
    await tx.execute(sql`INSERT INTO integration_health (integration_id, check_verdict, check_code, check_fingerprint, checked_at)
      SELECT i.id, ${verdict}, ${code}, ${fingerprint}, ${now} FROM integrations i WHERE i.id = ${id}
      ON CONFLICT (integration_id) DO UPDATE SET check_verdict = excluded.check_verdict, check_code = excluded.check_code,
        check_fingerprint = excluded.check_fingerprint, checked_at = excluded.checked_at`)
  },
})

/** Writes down refused webhooks. */
export const refusalWriter = (db: Statements, dialect: Dialect): RefusalWriter => ({
  async refused(refusals, mayCount) {
    const ids = refusals.map(({ id }) => id)
    const there = await db.query<{ id: IntegrationId }>(
      { id: sql`i.id` },
      sql`FROM integrations i WHERE i.id IN (${join(ids)})`,
    )
    const known = new Set(there.map(({ id }) => id))
    // In one order, so that two receivers do not wait for each other.
    const rows = refusals.filter(({ id }) => known.has(id)).sort((a, b) => (a.id < b.id ? -1 : 1))
    if (rows.length === 0 || !mayCount()) return
    const { was, isOver, isLater } = counted(dialect, rows)
    const values = rows.map(
      ({ id, count, firstAt, lastAt, reason }) => sql`(${id}, ${count}, ${firstAt}, ${lastAt}, ${reason})`,
    )
    await db.execute(sql`INSERT INTO integration_health (integration_id, refused_count, refused_since, refused_at, refused_reason) VALUES ${join(values)}
      ON CONFLICT (integration_id) DO UPDATE SET
        refused_count = CASE WHEN ${isOver} THEN excluded.refused_count
          WHEN ${was('count')} BETWEEN 0 AND ${largestCount} - excluded.refused_count THEN ${was('count')} + excluded.refused_count
          ELSE ${was('count')} END,
        refused_since = CASE WHEN ${isOver} THEN excluded.refused_since ELSE ${was('since')} END,
        refused_at = CASE WHEN ${isLater} THEN ${was('at')} ELSE excluded.refused_at END,
        refused_reason = CASE WHEN ${isLater} THEN ${was('reason')} ELSE excluded.refused_reason END`)
  },
})

/** How the count that is stored stands to what is added: whether it is over, or another receiver knows of a later refusal. */
function counted({ comparableTime, isMalformed }: Dialect, rows: readonly Refusal[]) {
  const was = (part: string) => sql([`integration_health.refused_${part}`])
  const instant = (ms: number) => comparableTime(sql`${new Date(ms)}`)
  const at = comparableTime(was('at'))
  const earliest = Math.min(...rows.map(({ firstAt }) => firstAt.getTime())) - quietMs
  const latest = Math.max(...rows.map(({ lastAt }) => lastAt.getTime())) + quietMs
  const isOver = sql`(${was('count')} IS NULL OR ${was('since')} IS NULL OR ${was('at')} IS NULL
    OR ${isMalformed('whole', was('count'))} OR ${isMalformed('time', was('since'))} OR ${isMalformed('time', was('at'))}
    OR ${at} < ${instant(earliest)} OR ${at} > ${instant(latest)})`
  return { was, isOver, isLater: sql`(NOT ${isOver} AND ${at} > ${comparableTime(sql`excluded.refused_at`)})` }
}
