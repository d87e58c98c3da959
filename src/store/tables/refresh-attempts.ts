import sql, { join, type Sql } from 'sql-template-tag'
import { type Fingerprint, type Instant, type IntegrationId, instantOf } from '../../brands.ts'
import { type Damageable, refuseDamaged } from '../../damage.ts'
import type { TokenRefresh } from '../../integration.ts'
import type { WrittenColumns } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns, Statements, WritableStatements } from '../database/statements.ts'
import { isDamaged } from './damaged-rows.ts'

/**
 * How an attempt to refresh a token stands. `started` is a lease while its time runs; `unknown` may have used up the
 * refresh token; `needs_reauth` has been looked at, and only a person can go on.
 */
export type AttemptState = 'started' | 'applied' | 'refused' | 'failed' | 'unknown' | 'needs_reauth'

/** The last attempt to refresh an integration's token; those that share the token share the attempt's id and fence. */
export interface RefreshAttempt {
  readonly integrationId: IntegrationId
  readonly id: string
  readonly fence: number
  readonly state: AttemptState
  readonly owner: string
  /** Of the refresh token that was handed in. */
  readonly oldFingerprint: Fingerprint
  readonly startedAt: Instant
  readonly leaseUntil: Instant
  /** By the database's clock, the lease has not ended. */
  readonly leased: boolean
  readonly code: string | null
}

/**
 * How long no other process may begin an attempt. A request may take less than half of it, and a machine on which a
 * hundred jobs start at once may leave a process without its turn for a minute.
 */
export const leaseTimeMs = 120_000

/**
 * Whether an attempt (`r`) is a lease whose time runs, by the database's clock. One that would last longer than a lease
 * does was begun while that clock was wrong.
 */
export const leased = ({ comparableTime, now, nowPlus }: Dialect): Sql =>
  sql`(r.state = 'started' AND ${comparableTime(sql`r.lease_until`)} > ${comparableTime(now)} AND ${comparableTime(sql`r.lease_until`)} <= ${comparableTime(nowPlus(2 * leaseTimeMs))})`

/** What can be read of attempts to refresh tokens. */
export interface RefreshReader {
  /** The last attempt of an integration. */
  of(integrationId: IntegrationId): Promise<RefreshAttempt | undefined>
  /** An attempt by its own id, in each integration of which it is the last one: those that share a refresh token. */
  shared(id: string): Promise<RefreshAttempt[]>
  /** The attempts that may have used a refresh token up, or have: the platform gave another one for it. */
  attemptsUsing(oldFingerprint: Fingerprint): Promise<RefreshAttempt[]>
  /** The leases that run of integrations of a workspace. @throws DATABASE_INVALID for an attempt of one that cannot be read */
  leasesWithin(workspaceId: string): Promise<RefreshAttempt[]>
  /** The leases that run of some integrations. @throws DATABASE_INVALID for an attempt of one that cannot be read */
  leasesOf(ids: readonly IntegrationId[]): Promise<RefreshAttempt[]>
  /** The oldest lease that runs. */
  oldestLease(): Promise<string | undefined>
  /** The attempts whose outcome is unknown, in the order of their integrations, or cannot be read. */
  open(): Promise<(RefreshAttempt & Damageable)[]>
}

/** How an attempt ended. */
export interface AttemptEnd {
  readonly state: AttemptState
  readonly code: string | null
}

/** What can be changed of attempts to refresh tokens. */
export interface RefreshWriter {
  /**
   * Begins an attempt, in the place of those before, for all integrations that share the refresh token: none of them
   * may forget it because another one is removed, or gets other tokens.
   */
  begin(attempt: {
    readonly integrationId: IntegrationId
    /** The others that share the refresh token. */
    readonly sharers: readonly IntegrationId[]
    readonly owner: string
    readonly oldFingerprint: Fingerprint
  }): Promise<RefreshAttempt>
  /** Forgets an attempt that cannot be read, of an integration that holds another refresh token now. */
  forgetDamaged(integrationId: IntegrationId): Promise<void>
  /** Makes an attempt that others began the last one of an integration that holds their refresh token, too. */
  attachTo(integrationId: IntegrationId, attempt: RefreshAttempt, end: AttemptEnd): Promise<void>
  /**
   * Stores how an attempt ended, where it is still the last attempt and was not applied.
   *
   * @param among the integrations concerned; undefined: all that share it
   * @returns the integrations in which the end was stored
   */
  close(attempt: RefreshAttempt, end: AttemptEnd, among?: readonly IntegrationId[]): Promise<IntegrationId[]>
}

/** Reads attempts to refresh tokens. */
export function refreshReader(db: Statements, dialect: Dialect): RefreshReader {
  const { toRfc3339, binaryOrder, whole } = dialect
  const columns: Columns<RefreshAttempt> = {
    integrationId: sql`r.integration_id`,
    id: sql`r.id`,
    fence: whole(sql`r.fence`),
    state: sql`r.state`,
    owner: sql`r.owner`,
    oldFingerprint: sql`r.old_fingerprint`,
    startedAt: toRfc3339(sql`r.started_at`),
    leaseUntil: toRfc3339(sql`r.lease_until`),
    leased: leased(dialect),
    code: sql`r.code`,
  }
  async function readAll(where: Sql, query = db.queryAll): Promise<(RefreshAttempt & Damageable)[]> {
    const rows = await query<RefreshAttempt>(
      columns,
      sql`FROM integration_refresh_attempts r WHERE ${where} ORDER BY ${binaryOrder(sql`r.integration_id`)}`,
    )
    return rows.map((row) => ({ ...row, fence: Number(row.fence), leased: Boolean(row.leased) }))
  }
  const read = async (where: Sql): Promise<RefreshAttempt[]> => refuseDamaged(await readAll(where))
  return {
    of: async (integrationId) => (await read(sql`r.integration_id = ${integrationId}`))[0],
    shared: (id) => read(sql`r.id = ${id}`),
    attemptsUsing: (oldFingerprint) =>
      read(sql`r.old_fingerprint = ${oldFingerprint}
        AND (r.state IN ('started', 'unknown', 'needs_reauth') OR (r.state = 'applied' AND r.code IS NULL))`),
    leasesWithin: (workspaceId) =>
      read(sql`(${leased(dialect)} OR ${isDamaged(dialect, 'integration_refresh_attempts')})
        AND EXISTS (SELECT 1 FROM integrations i WHERE i.id = r.integration_id AND i.workspace_id = ${workspaceId})`),
    leasesOf: async (ids) =>
      ids.length === 0 ? [] : (await read(sql`r.integration_id IN (${join(ids)})`)).filter(({ leased }) => leased),
    async oldestLease() {
      const [row] = await db.query<{ id: string }>(
        { id: sql`r.id` },
        sql`FROM integration_refresh_attempts r WHERE ${leased(dialect)}
          ORDER BY ${dialect.comparableTime(sql`r.started_at`)}, ${binaryOrder(sql`r.id`)} LIMIT 1`,
      )
      return row?.id
    },
    open: () =>
      readAll(
        sql`(r.state IN ('started', 'unknown', 'needs_reauth') OR ${dialect.isMalformed('text', sql`r.state`)})`,
        db.queryInPages,
      ),
  }
}

/** Changes attempts to refresh tokens, within a transaction. */
export function refreshWriter(
  tx: WritableStatements,
  { dialect, now, written }: { readonly dialect: Dialect; readonly now: Date; readonly written: WrittenColumns },
): RefreshWriter {
  const { whole } = dialect
  const wrote = (id: IntegrationId) => written.add('integration', id, 'integration_refresh_attempts.*')
  async function put(
    { integrationId, id, fence, state, owner, oldFingerprint, startedAt, leaseUntil, code }: RefreshAttempt,
    finishedAt: Date | null,
  ): Promise<void> {
    wrote(integrationId)
    await tx.execute(sql`INSERT INTO integration_refresh_attempts
      (integration_id, id, fence, state, owner, old_fingerprint, started_at, lease_until, code, finished_at)
      VALUES (${integrationId}, ${id}, ${fence}, ${state}, ${owner}, ${oldFingerprint}, ${new Date(startedAt)}, ${new Date(leaseUntil)}, ${code}, ${finishedAt})
      ON CONFLICT (integration_id) DO UPDATE SET id = excluded.id, fence = excluded.fence, state = excluded.state, owner = excluded.owner,
        old_fingerprint = excluded.old_fingerprint, started_at = excluded.started_at, lease_until = excluded.lease_until,
        code = excluded.code, finished_at = excluded.finished_at`)
  }
  return {
    async begin({ integrationId, sharers, owner, oldFingerprint }) {
      const all = [integrationId, ...sharers]
      const [before] = await tx.query<{ fence: number | null }>(
        { fence: whole(sql`max(r.fence)`) },
        sql`FROM integration_refresh_attempts r WHERE r.integration_id IN (${join(all)})`,
      )
      const attempt: RefreshAttempt = {
        integrationId,
        id: crypto.randomUUID(),
        fence: Number(before?.fence ?? 0) + 1,
        state: 'started',
        owner,
        oldFingerprint,
        startedAt: instantOf(now),
        leaseUntil: instantOf(now.getTime() + leaseTimeMs),
        leased: true,
        code: null,
      }
      for (const one of all) await put({ ...attempt, integrationId: one }, null)
      return attempt
    },
    async forgetDamaged(integrationId) {
      await tx.execute(sql`DELETE FROM integration_refresh_attempts AS r
        WHERE r.integration_id = ${integrationId} AND ${isDamaged(dialect, 'integration_refresh_attempts')}`)
    },
    attachTo: (integrationId, attempt, { state, code }) => put({ ...attempt, integrationId, state, code }, now),
    async close({ id, fence }, { state, code }, among) {
      const rows = await tx.query<{ integrationId: IntegrationId }>(
        { integrationId: sql`r.integration_id` },
        sql`FROM integration_refresh_attempts r
        WHERE r.id = ${id} AND r.fence = ${fence} AND r.state <> 'applied' ORDER BY r.integration_id`,
      )
      const closed = rows.map(({ integrationId }) => integrationId).filter((one) => among?.includes(one) ?? true)
      if (closed.length > 0)
        await tx.execute(sql`UPDATE integration_refresh_attempts SET state = ${state}, code = ${code}, finished_at = ${now}
          WHERE id = ${id} AND integration_id IN (${join(closed)})`)
      closed.forEach(wrote)
      return closed
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
  current: Fingerprint | null,
): TokenRefresh {
  if (!attempt || attempt.leased || attempt.oldFingerprint !== current) return null
  if (attempt.state === 'started' || attempt.state === 'unknown') return 'outcome_unknown'
  return attempt.state === 'needs_reauth' || attempt.state === 'refused' ? attempt.state : null
}
