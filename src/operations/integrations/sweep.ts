import { conflict } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { GoneIntegration } from '../../store/tables/integrations.ts'
import type { DryRun } from '../change.ts'

/** What a sweep deletes, or would. */
export interface Sweep {
  readonly gone: readonly GoneIntegration[]
  /** Whether a view tells which integrations are gone: what it does not show may be there. */
  readonly isView: boolean
}

/**
 * Deletes what this program keeps of integrations that the application has deleted, where no foreign key does: versions,
 * previous secrets, refreshes, configs, labels. The audit log stays, and has an event for each.
 *
 * @param options `count`: how many they were a moment ago
 * @throws CONFLICT when they are another number by now
 */
export const sweepIntegrations = (
  store: Store,
  { count, ...options }: DryRun & { readonly count?: number | undefined },
): Promise<Sweep> =>
  store.mutate(async (tx) => {
    const isView = await tx.showsViews()
    const gone = await tx.integrations.gone()
    if (count !== undefined && gone.length !== count)
      throw conflict(`${gone.length} integrations are gone by now, not ${count}`, 'integrations db sweep --dry-run')
    await tx.integrations.forget(...gone.map(({ id }) => id))
    for (const { id, name } of gone)
      await tx.record({ action: 'integration.sweep', target: { type: 'integration', id, name } })
    return { gone, isView }
  }, options)
