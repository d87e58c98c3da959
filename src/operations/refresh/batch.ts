import { setTimeout as sleep } from 'node:timers/promises'
import { mapConcurrent, serialize, singleFlight } from '../../concurrency.ts'
import { type ErrorCode, IntegrationsError } from '../../errors.ts'
import type { IntegrationView } from '../../integration.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Store } from '../../store/store.ts'
import { allRows } from '../../store/tables/all-rows.ts'
import { verifyKeys } from '../keys/keys.ts'
import { appOf, isDue, leaseHeld, refusalFor } from './eligibility.ts'
import { isOthersTurn } from './lease.ts'
import { inspect, type RefreshOptions, refreshOne } from './refresh.ts'

/** How it went with one of several. */
export interface RefreshRow {
  readonly integration: IntegrationView
  readonly outcome:
    | 'refreshed'
    | 'due'
    | 'not_due'
    | 'refused'
    | 'failed'
    | 'outcome_unknown'
    | 'needs_reauth'
    | 'held'
    | 'unsupported'
    | 'inactive'
    | 'no_refresh_token'
    | 'cancelled'
    | 'error'
  /** Why it was not refreshed. */
  readonly error?: IntegrationsError
}

/** How many platforms are asked at the same time. */
const atOnce = 8

const outcomes: { readonly [C in ErrorCode]?: RefreshRow['outcome'] } = {
  CREDENTIAL_REFUSED: 'refused',
  PLATFORM_FAILED: 'failed',
  OUTCOME_UNKNOWN: 'outcome_unknown',
  LEASE_HELD: 'held',
  CANCELLED: 'cancelled',
}

/**
 * Refreshes the tokens of several integrations, in an order of chance: jobs that begin together then do not wait for each
 * other all the way. Where another job is at work already, it is let go on, for as long as it does.
 *
 * @param named each was asked for; what cannot be refreshed at all is an error then
 * @param dryRun say what is due, and ask nobody
 */
export async function refreshMany(
  store: Store,
  integrations: readonly IntegrationView[],
  options: Batch,
): Promise<RefreshRow[]> {
  const now = await serialize(store, () => store.read((db) => db.clock()))
  const rows = new Map<string, RefreshRow>()
  const tell = (row: RefreshRow | undefined) => row && rows.set(row.integration.id, row)
  for (const integration of integrations) tell(firstLook(integration, now, options))
  const left = integrations.filter(({ id }) => !rows.has(id))
  if (options.dryRun) for (const integration of left) tell(await foretold(store, integration, options))
  else await refreshLeft(store, left, rows, now, options)
  return integrations.flatMap(({ id }) => rows.get(id) ?? [])
}

/** Refreshes what is left, and adds what came of it to the rows. */
async function refreshLeft(
  store: Store,
  left: readonly IntegrationView[],
  rows: Map<string, RefreshRow>,
  now: Date,
  options: Batch,
): Promise<void> {
  const tell = (row: RefreshRow | undefined) => row && rows.set(row.integration.id, row)
  const ownAttempts = new Set<string>()
  const relook = async () => {
    for (const integration of await present(store))
      if (!rows.has(integration.id)) tell(firstLook(integration, now, options))
  }
  const turn = { ownAttempts, wait: singleFlight(() => giveWay(store, ownAttempts, options.wait, relook)) }
  const many = left.length > atOnce
  if (many) await turn.wait()
  const due = left.filter(({ id }) => !rows.has(id)).map((integration) => ({ integration, chance: Math.random() }))
  due.sort((a, b) => a.chance - b.chance)
  // What would fail for all of them fails before anybody is asked.
  if (due.length > 0) await verifyKeys(store)
  await mapConcurrent(due, atOnce, async ({ integration }) => {
    if (!rows.has(integration.id)) tell(await refreshRow(store, integration, many ? { ...options, turn } : options))
  })
}

/**
 * Waits while the oldest lease is another job's. A job that was killed is not waited for longer than its leases last.
 *
 * @param waited is called when somebody else has been at work
 */
async function giveWay(
  store: Store,
  ownAttempts: Set<string>,
  wait: number,
  waited: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + wait
  for (let turns = 0; ; turns++) {
    const busy = await serialize(store, () => store.read((db) => isOthersTurn(db, { ownAttempts })))
    if (!busy || performance.now() > deadline) {
      if (turns > 0) await waited()
      return
    }
    await sleep(300 + Math.random() * 700)
  }
}

const present = (store: Store): Promise<IntegrationView[]> =>
  serialize(store, () => store.snapshot((db) => allRows(db.integrations.list({}, { sort: 'id', descending: false }))))

type Batch = RefreshOptions & { readonly named: boolean; readonly dryRun: boolean }

/** What is known of an integration without asking anybody; undefined when its token is to be refreshed. */
function firstLook(integration: IntegrationView, now: Date, options: Batch): RefreshRow | undefined {
  try {
    const obstacle = refusalFor(integration)
    if (obstacle) return { integration, outcome: obstacle.outcome, ...(options.named ? { error: obstacle.error } : {}) }
    // Where the outcome of the last refresh seems unknown, the application may have written another refresh token, which only the keys can tell.
    return integration.tokenRefresh === 'outcome_unknown' ||
      integration.tokenRefresh === 'needs_reauth' ||
      isDue(integration, undefined, now, options)
      ? undefined
      : { integration, outcome: 'not_due' }
  } catch (error) {
    return failed(integration, error)
  }
}

async function refreshRow(store: Store, integration: IntegrationView, options: Batch): Promise<RefreshRow> {
  try {
    const { outcome, expiresAt } = await refreshOne(store, integration.id, options)
    return { integration: { ...integration, tokenExpiresAt: expiresAt }, outcome }
  } catch (error) {
    return failed(integration, error)
  }
}

function failed(integration: IntegrationView, error: unknown): RefreshRow {
  if (!(error instanceof IntegrationsError)) throw error
  return { integration, outcome: outcomes[error.code] ?? 'error', error }
}

/** What would be done now. */
async function foretold(store: Store, { id }: IntegrationView, options: Batch): Promise<RefreshRow> {
  const { integration, eligibility } = await inspect(store, id, options)
  const { outcome } = eligibility
  if (outcome === 'held') return { integration, outcome, error: leaseHeld(integration, eligibility.attempt) }
  try {
    if (outcome === 'due')
      await serialize(store, () => store.read((db) => appOf(db, integration, platformOf(integration))))
  } catch (error) {
    return failed(integration, error)
  }
  return { integration, outcome, ...('error' in eligibility ? { error: eligibility.error } : {}) }
}
