import sql, { type Sql } from 'sql-template-tag'
import type { Instant, TokenRefresh } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'

/**
 * How an attempt to refresh a token stands. `started` is a lease while its time runs; `unknown` may have used up the
 * refresh token; `needs_reauth` has been looked at, and only a person can go on.
 */
export type AttemptState = 'started' | 'applied' | 'refused' | 'failed' | 'unknown' | 'needs_reauth'

/** The last attempt to refresh an integration's token; those that share the token share the attempt's id and fence. */
export interface RefreshAttempt {
  readonly integrationId: string
  readonly id: string
  readonly fence: number
  readonly state: AttemptState
  readonly owner: string
  /** Of the refresh token that was handed in. */
  readonly oldFingerprint: string
  readonly startedAt: Instant
  readonly leaseUntil: Instant
  /** By the database's clock, the lease has not ended. */
  readonly leased: boolean
  readonly code: string | null
}

/** How long an attempt is nobody else's turn, in milliseconds. A request may take less than half of it. */
export const leaseTime = 60_000

/**
 * Whether an attempt (`r`) is a lease whose time runs, by the database's clock. One that would last longer than a lease
 * does was begun while that clock was wrong.
 */
export const leased = ({ comparableTime, now, nowPlus }: Dialect): Sql =>
  sql`(r.state = 'started' AND ${comparableTime(sql`r.lease_until`)} > ${comparableTime(now)} AND ${comparableTime(sql`r.lease_until`)} <= ${comparableTime(nowPlus(2 * leaseTime))})`

/** The queries about attempts to refresh tokens. */
export function refreshRows(db: Statements, dialect: Dialect) {
  const { toRfc3339, binaryOrder } = dialect
  const select = sql`SELECT r.integration_id AS "integrationId", r.id, r.fence, r.state, r.owner, r.old_fingerprint AS "oldFingerprint",
    ${toRfc3339(sql`r.started_at`)} AS "startedAt", ${toRfc3339(sql`r.lease_until`)} AS "leaseUntil", ${leased(dialect)} AS leased, r.code
    FROM integration_refresh_attempts r`
  const read = async (query: Sql): Promise<RefreshAttempt[]> =>
    (await db.query<RefreshAttempt>(query)).map((row) => ({
      ...row,
      fence: Number(row.fence),
      leased: Boolean(row.leased),
    }))
  return {
    /** The last attempt of an integration. */
    of: async (integrationId: string): Promise<RefreshAttempt | undefined> =>
      (await read(sql`${select} WHERE r.integration_id = ${integrationId}`))[0],

    /** An attempt by its own id, in each integration of which it is the last one: those that share a refresh token. */
    shared: (id: string): Promise<RefreshAttempt[]> =>
      read(sql`${select} WHERE r.id = ${id} ORDER BY ${binaryOrder(sql`r.integration_id`)}`),

    /** The attempts that may have used a refresh token up, or have: the platform gave another one for it. */
    attemptsUsing: (oldFingerprint: string): Promise<RefreshAttempt[]> =>
      read(sql`${select} WHERE r.old_fingerprint = ${oldFingerprint}
        AND (r.state IN ('started', 'unknown', 'needs_reauth') OR (r.state = 'applied' AND r.code IS NULL))
        ORDER BY ${binaryOrder(sql`r.integration_id`)}`),

    /** The oldest lease that runs. */
    async oldestLease(): Promise<string | undefined> {
      const [row] = await db.query<{ id: string }>(
        sql`SELECT r.id FROM integration_refresh_attempts r WHERE ${leased(dialect)}
          ORDER BY ${dialect.comparableTime(sql`r.started_at`)}, ${binaryOrder(sql`r.id`)} LIMIT 1`,
      )
      return row?.id
    },

    /** The database's clock. */
    async clock(): Promise<Date> {
      const [row] = await db.query<{ now: Instant }>(sql`SELECT ${toRfc3339(dialect.now)} AS now`)
      return new Date(row?.now ?? Number.NaN)
    },

    /** The attempts of which nobody knows how they ended, in the order of their integrations. */
    open: (): Promise<RefreshAttempt[]> =>
      read(
        sql`${select} WHERE r.state IN ('started', 'unknown', 'needs_reauth') ORDER BY ${binaryOrder(sql`r.integration_id`)}`,
      ),
  }
}

/** What changes attempts to refresh tokens, within a transaction. */
export function refreshChanges(tx: WritableStatements, now: Date) {
  return {
    /**
     * Begins an attempt, in the place of those before, for all integrations that share the refresh token: none of them
     * may forget it because another one is removed, or gets other tokens.
     *
     * @param sharers the others that share it
     */
    async begin(
      integrationId: string,
      sharers: readonly string[],
      owner: string,
      oldFingerprint: string,
    ): Promise<RefreshAttempt> {
      const all = [integrationId, ...sharers]
      const leaseUntil = new Date(now.getTime() + leaseTime)
      const { _max: before } = await tx.models.integrationRefreshAttempt.aggregate({
        where: { integrationId: { in: all } },
        _max: { fence: true },
      })
      const attempt = { id: crypto.randomUUID(), fence: (before.fence ?? 0) + 1, owner, oldFingerprint }
      const data = { ...attempt, state: 'started', startedAt: now, leaseUntil, finishedAt: null, code: null }
      for (const one of all)
        await tx.models.integrationRefreshAttempt.upsert({
          where: { integrationId: one },
          create: { integrationId: one, ...data },
          update: data,
          select: { id: true },
        })
      return {
        integrationId,
        ...attempt,
        state: 'started',
        startedAt: now.toISOString(),
        leaseUntil: leaseUntil.toISOString(),
        leased: true,
        code: null,
      }
    },

    /** Makes an attempt that others began the last one of an integration that holds their refresh token, too. */
    async attachTo(
      integrationId: string,
      { id, fence, owner, oldFingerprint, startedAt, leaseUntil }: RefreshAttempt,
      state: AttemptState,
      code: string,
    ): Promise<void> {
      const data = { id, fence, owner, oldFingerprint, state, startedAt, leaseUntil, finishedAt: now, code }
      await tx.models.integrationRefreshAttempt.upsert({
        where: { integrationId },
        create: { integrationId, ...data },
        update: data,
        select: { id: true },
      })
    },

    /**
     * Writes down how an attempt ended, where it still is the last one and had not been applied.
     *
     * @param among the integrations concerned; undefined: all that share it
     * @returns those in which it was written down
     */
    async settle(
      { id, fence }: RefreshAttempt,
      state: AttemptState,
      code: string | null,
      among?: readonly string[],
    ): Promise<string[]> {
      const where = {
        id,
        fence,
        state: { not: 'applied' },
        ...(among ? { integrationId: { in: [...among] } } : {}),
      }
      const rows = await tx.models.integrationRefreshAttempt.findMany({
        where,
        select: { integrationId: true },
        orderBy: { integrationId: 'asc' },
      })
      await tx.models.integrationRefreshAttempt.updateMany({ where, data: { state, code, finishedAt: now } })
      return rows.map(({ integrationId }) => integrationId)
    },
  }
}

/**
 * What an integration's last attempt means for it, as it is shown.
 *
 * @param current the recorded fingerprint of its refresh token: with another one, the attempt is history
 */
export function tokenRefreshOf(
  attempt: Pick<RefreshAttempt, 'state' | 'oldFingerprint' | 'leased'> | null,
  current: string | null,
): TokenRefresh {
  if (!attempt || attempt.leased || attempt.oldFingerprint !== current) return null
  if (attempt.state === 'started' || attempt.state === 'unknown') return 'outcome_unknown'
  return attempt.state === 'needs_reauth' || attempt.state === 'refused' ? attempt.state : null
}
