import { type ErrorCode, IntegrationsError } from '../errors.ts'
import type { Integration } from '../integration.ts'
import type { Store } from '../store/store.ts'
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
 * other all the way.
 *
 * @param named each was asked for; what cannot be refreshed at all is an error then
 * @param dryRun say what is due, and ask nobody
 */
export async function refreshMany(
  store: Store,
  integrations: readonly Integration[],
  options: Refreshing & { readonly named: boolean; readonly dryRun: boolean },
): Promise<RefreshRow[]> {
  const order = integrations
    .map((integration, at) => ({ integration, at, chance: Math.random() }))
    .sort((a, b) => a.chance - b.chance)
  const rows: RefreshRow[] = []
  await fewAtOnce(order, atOnce, async ({ integration, at }) => {
    rows[at] = await refreshRow(store, integration, options)
  })
  return rows
}

async function refreshRow(
  store: Store,
  integration: Integration,
  options: Refreshing & { readonly named: boolean; readonly dryRun: boolean },
): Promise<RefreshRow> {
  try {
    const { standing } = await lookAt(store, integration.id, options)
    const { outcome } = standing
    if (outcome === 'unsupported' || outcome === 'inactive' || outcome === 'no_refresh_token')
      return { integration, outcome, ...(options.named ? { error: standing.error } : {}) }
    if (options.dryRun) return await foretold(store, integration, standing)
    const { outcome: done, expiresAt } = await refreshOne(store, integration.id, options)
    return { integration: { ...integration, tokenExpiresAt: expiresAt }, outcome: done }
  } catch (error) {
    if (!(error instanceof IntegrationsError)) throw error
    return { integration, outcome: outcomes[error.code] ?? 'error', error }
  }
}

/** What would be done now. */
async function foretold(store: Store, integration: Integration, standing: Standing): Promise<RefreshRow> {
  const { outcome } = standing
  if (outcome === 'held') return { integration, outcome, error: leaseHeld(integration, standing.attempt) }
  if (outcome === 'due')
    await inTurn(store, () => store.read((rows) => appOf(rows, integration, platformOf(integration))))
  return { integration, outcome, ...('error' in standing ? { error: standing.error } : {}) }
}
