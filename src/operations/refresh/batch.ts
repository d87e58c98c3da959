import { setTimeout as sleep } from 'node:timers/promises'
import { semaphore, serialize, singleFlight } from '../../concurrency.ts'
import { refuseDamage } from '../../damage.ts'
import { checkFailed, type ErrorCode, IntegrationsError, interrupted } from '../../errors.ts'
import { type IntegrationView, refOf } from '../../integration.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Reader, Store } from '../../store/store.ts'
import { type Chosen, findChosen, readChosen } from '../find.ts'
import { verifyKeys } from '../keys/keys.ts'
import {
  appOf,
  type Due,
  type Eligibility,
  eligibilityOf,
  isDue,
  leaseHeld,
  type Refusal,
  refusalFor,
} from './eligibility.ts'
import { isOthersTurn } from './lease.ts'
import { type RefreshOptions, refreshOne } from './refresh.ts'

/** The error of one integration in a batch, and the outcome that it means. */
export interface BatchFailure {
  readonly outcome: 'refused' | 'failed' | 'outcome_unknown' | 'held' | 'cancelled' | 'error'
  readonly error: IntegrationsError
}

/** The result of a refresh batch for one integration. */
export interface RefreshRow {
  readonly integration: IntegrationView
  readonly outcome: 'refreshed' | Eligibility['outcome'] | BatchFailure['outcome']
  /** Why the token was not refreshed; absent where that is no failure. */
  readonly error?: IntegrationsError
}

/** Which integrations of a batch have a token to refresh. */
export interface BatchDue extends Due {
  /** The user named each integration, so that one that cannot be refreshed is an error. */
  readonly named: boolean
}

/** How to refresh a batch. */
export type RefreshBatchOptions = RefreshOptions & BatchDue

/** How many requests to platforms run at a time. */
const maxConcurrency = 8

const failureOutcomes: { readonly [C in ErrorCode]?: BatchFailure['outcome'] } = {
  CREDENTIAL_REFUSED: 'refused',
  PLATFORM_FAILED: 'failed',
  OUTCOME_UNKNOWN: 'outcome_unknown',
  LEASE_HELD: 'held',
  CANCELLED: 'cancelled',
}

/** The failure of one integration in a batch. @throws the error itself, unless it is an `IntegrationsError` */
export function failureOf(error: unknown): BatchFailure {
  if (!(error instanceof IntegrationsError)) throw error
  return { outcome: failureOutcomes[error.code] ?? 'error', error }
}

/**
 * Tells what a refresh of the chosen integrations would give now, as far as it is known without the keys, and without
 * asking a platform.
 *
 * @param emit takes the rows of some integrations at a time
 * @throws NOT_FOUND, AMBIGUOUS for a reference, and what the store and `emit` throw; other errors are in the rows
 */
export async function previewMany(
  store: Store,
  chosen: Chosen,
  { emit, ...due }: BatchDue & { readonly emit: (rows: readonly RefreshRow[], db: Reader) => Promise<void> },
): Promise<void> {
  let emitted = 0
  await store.snapshot(async (db) => {
    // The store tries again when it is interrupted; what was emitted would be emitted twice.
    if (emitted > 0) throw interrupted(emitted)
    const now = await db.clock()
    for await (const some of readChosen(db, chosen)) {
      const rows: RefreshRow[] = []
      for (const one of some) rows.push(precheck(one, now, due) ?? (await preview(db, one, due)))
      emitted += rows.length
      await emit(rows, db)
    }
  })
}

/**
 * Refreshes the tokens of several integrations, in random order, so that jobs which start together do not wait for each
 * other at every integration. While another job is at work, this job waits, for `wait` milliseconds at most.
 *
 * @returns one row for each integration, in the order given
 * @throws what the store and `verifyKeys` throw; other errors are in the rows
 */
export async function refreshMany(
  store: Store,
  integrations: readonly IntegrationView[],
  options: RefreshBatchOptions,
): Promise<RefreshRow[]> {
  const now = await serialize(store, () => store.read((db) => db.clock()))
  const rows = new Map<string, RefreshRow>()
  const add = (row: RefreshRow | undefined) => row && rows.set(row.integration.id, row)
  for (const integration of integrations) add(precheck(integration, now, options))
  const remaining = integrations.filter(({ id }) => !rows.has(id))
  await refreshRemaining(store, { remaining, rows, now }, options)
  return integrations.flatMap(({ id }) => rows.get(id) ?? [])
}

/** Refreshes the integrations without a row, and adds their rows. */
async function refreshRemaining(
  store: Store,
  { remaining, rows, now }: { remaining: readonly IntegrationView[]; rows: Map<string, RefreshRow>; now: Date },
  options: RefreshBatchOptions,
): Promise<void> {
  const add = (row: RefreshRow | undefined) => row && rows.set(row.integration.id, row)
  const ownAttempts = new Set<string>()
  const recheck = async () => {
    for (const integration of await listAll(store))
      if (!rows.has(integration.id)) add(precheck(integration, now, options))
  }
  const turn = {
    ownAttempts,
    wait: singleFlight(() => yieldTo(store, { ownAttempts, waitMs: options.wait, afterWait: recheck })),
  }
  const takesTurns = remaining.length > maxConcurrency
  if (takesTurns) await turn.wait()
  const due = remaining.filter(({ id }) => !rows.has(id)).map((integration) => ({ integration, order: Math.random() }))
  due.sort((a, b) => a.order - b.order)
  // An error that would occur for every integration occurs before any platform is asked.
  if (due.length > 0) await verifyKeys(store)
  await semaphore(maxConcurrency).map(due, async ({ integration }) => {
    if (!rows.has(integration.id))
      add(await refreshRow(store, integration, takesTurns ? { ...options, turn } : options))
  })
}

/** The mean time between two looks at the leases of other jobs, at most. */
const maxPauseMs = 5000

/**
 * Waits while the oldest lease belongs to another job: for a killed job, no longer than its leases last.
 *
 * @param turn `afterWait` runs after another job has been at work
 */
async function yieldTo(
  store: Store,
  { ownAttempts, waitMs, afterWait }: { ownAttempts: Set<string>; waitMs: number; afterWait: () => Promise<void> },
): Promise<void> {
  const began = performance.now()
  for (let turns = 0; ; turns++) {
    const busy = await serialize(store, () => store.read((db) => isOthersTurn(db, { ownAttempts })))
    const waitedMs = performance.now() - began
    if (!busy || waitedMs >= waitMs) {
      if (turns > 0) await afterWait()
      return
    }
    // The longer a job waits, the less often it looks: a hundred that look every second keep two cores from the one at work.
    const pauseMs = (0.5 + Math.random()) * Math.min(600 + waitedMs / 4, maxPauseMs)
    await sleep(Math.min(pauseMs, waitMs - waitedMs))
  }
}

const listAll = (store: Store): Promise<IntegrationView[]> =>
  serialize(store, () => findChosen(store, { kind: 'filter', filter: {} }, (one) => one))

/** The row of an integration as far as it is known without the keys; undefined when its token may be due. */
function precheck(integration: IntegrationView, now: Date, options: BatchDue): RefreshRow | undefined {
  try {
    refuseDamage(integration)
    const refusal = refusalFor(integration)
    if (refusal) return refusedRow(integration, refusal, { now, named: options.named })
    const { tokenRefresh } = integration
    // The application may have written another refresh token, which only the keys can tell.
    return tokenRefresh === 'outcome_unknown' || tokenRefresh === 'needs_reauth' || isDue({ integration }, now, options)
      ? undefined
      : { integration, outcome: 'not_due' }
  } catch (error) {
    return { integration, ...failureOf(error) }
  }
}

/** The row of an integration without a token to refresh: an error where it was named, or where its token has expired. */
function refusedRow(
  integration: IntegrationView,
  { outcome, error }: Refusal,
  { now, named }: { readonly now: Date; readonly named: boolean },
): RefreshRow {
  if (named) return { integration, outcome, error }
  const { isActive, tokenExpiresAt } = integration
  if (!isActive || tokenExpiresAt === null || Date.parse(tokenExpiresAt) > now.getTime())
    return { integration, outcome }
  const message = `the access token of ${refOf(integration)} expired at ${tokenExpiresAt}, and ${error.message}`
  return { integration, outcome, error: checkFailed(message, error.hint) }
}

const refreshRow = (store: Store, integration: IntegrationView, options: RefreshOptions): Promise<RefreshRow> =>
  refreshOne(store, integration.id, options).then(
    ({ outcome, expiresAt }) => ({ integration: { ...integration, tokenExpiresAt: expiresAt }, outcome }),
    (error: unknown) => ({ integration, ...failureOf(error) }),
  )

/** The row that a refresh would give now, as far as it is known without asking a platform. */
async function preview(db: Reader, integration: IntegrationView, due: BatchDue): Promise<RefreshRow> {
  try {
    const eligibility = await eligibilityOf(db, integration, due)
    const { outcome } = eligibility
    switch (eligibility.outcome) {
      case 'not_due':
        return { integration, outcome }
      case 'held':
        return { integration, outcome, error: leaseHeld(integration, eligibility.attempt) }
      case 'due':
        await appOf(db, integration, platformOf(integration))
        return { integration, outcome }
      default:
        return { integration, outcome, error: eligibility.error }
    }
  } catch (error) {
    return { integration, ...failureOf(error) }
  }
}
