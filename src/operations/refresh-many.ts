import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, IntegrationsError } from '../errors.ts'
import type { Integration } from '../integration.ts'
import type { Store } from '../store/store.ts'
import { verifyKeys } from './keys.ts'
import { lookAt, type Refreshing, refreshOne } from './refresh.ts'
import { appOf, leaseHeld, type Standing } from './refresh-standing.ts'
import { platformOf } from './rotate.ts'
import { fewAtOnce, inTurn } from './turns.ts'

/** How it went with one of several. */
export interface RefreshRow {
  readonly integration: Integration
  readonly outcome:
    | 'refreshed'
    | 'due'
    | 'not_due'
    | 'refused'
    | 'failed'
    | 'uncertain'
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
  UNCERTAIN: 'uncertain',
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
  integrations: readonly Integration[],
  options: Batch,
): Promise<RefreshRow[]> {
  const rows: (RefreshRow | undefined)[] = []
  const look = async (at: number) => {
    rows[at] = await firstLook(store, integrations[at] as Integration, options)
  }
  const left = () => [...integrations.keys()].filter((at) => rows[at] === undefined)
  await fewAtOnce(left(), 1, look)
  // What would fail for all of them fails before anybody is asked.
  if (left().length > 0) await verifyKeys(store)
  const due = left().map((at) => ({ at, chance: Math.random() }))
  due.sort((a, b) => a.chance - b.chance)
  const mine = new Set<string>()
  await fewAtOnce(due, atOnce, async ({ at }) => {
    const integration = integrations[at] as Integration
    if (due.length > atOnce) await giveWay(store, integration.id, mine, options.wait)
    rows[at] = await refreshRow(store, integration, { ...options, begun: (id) => mine.add(id) })
  })
  return rows as RefreshRow[]
}

/**
 * Waits while the oldest lease is another job's: changes of a database wait for each other, so that many jobs at once
 * would be slower than one. A job that was killed is not waited for longer than its leases last.
 */
async function giveWay(store: Store, id: string, mine: ReadonlySet<string>, wait: number): Promise<void> {
  const deadline = performance.now() + wait
  while (performance.now() < deadline) {
    const [oldest, attempt] = await inTurn(store, () =>
      store.read(async (rows) => [await rows.refresh.oldestLease(), await rows.refresh.of(id)] as const),
    )
    // Its own turn, or somebody sees to this one already.
    if (oldest === undefined || mine.has(oldest) || attempt?.leased) return
    await sleep(300 + Math.random() * 700)
  }
}

type Batch = Refreshing & { readonly named: boolean; readonly dryRun: boolean }

/** What is known of an integration without asking anybody; undefined when its token is to be refreshed. */
async function firstLook(store: Store, integration: Integration, options: Batch): Promise<RefreshRow | undefined> {
  try {
    const { standing } = await lookAt(store, integration.id, options)
    const { outcome } = standing
    if (outcome === 'unsupported' || outcome === 'inactive' || outcome === 'no_refresh_token')
      return { integration, outcome, ...(options.named ? { error: standing.error } : {}) }
    if (outcome === 'not_due') return { integration, outcome }
    return options.dryRun ? await foretold(store, integration, standing) : undefined
  } catch (error) {
    return failed(integration, error)
  }
}

async function refreshRow(store: Store, integration: Integration, options: Batch): Promise<RefreshRow> {
  try {
    const { outcome, expiresAt } = await refreshOne(store, integration.id, options)
    return { integration: { ...integration, tokenExpiresAt: expiresAt }, outcome }
  } catch (error) {
    return failed(integration, error)
  }
}

function failed(integration: Integration, error: unknown): RefreshRow {
  if (!(error instanceof IntegrationsError)) throw error
  return { integration, outcome: outcomes[error.code] ?? 'error', error }
}

/** What would be done now. */
async function foretold(store: Store, integration: Integration, standing: Standing): Promise<RefreshRow> {
  const { outcome } = standing
  if (outcome === 'held') return { integration, outcome, error: leaseHeld(integration, standing.attempt) }
  if (outcome === 'due')
    await inTurn(store, () => store.read((rows) => appOf(rows, integration, platformOf(integration))))
  return { integration, outcome, ...('error' in standing ? { error: standing.error } : {}) }
}
