import type { Store } from '../../store/store.ts'
import type { GoneIntegration } from '../../store/tables/integrations.ts'
import type { DryRun } from '../change.ts'

/**
 * Deletes what this program keeps of integrations that the application has deleted, where no foreign key does: versions,
 * previous secrets, refreshes, configs. The audit log stays, and has an event for each.
 *
 * @returns these integrations
 */
export const sweepIntegrations = (store: Store, options: DryRun): Promise<readonly GoneIntegration[]> =>
  store.mutate(async (tx) => {
    const gone = await tx.integrations.gone()
    await tx.integrations.forget(...gone.map(({ id }) => id))
    for (const { id, name } of gone)
      await tx.record({ action: 'integration.sweep', target: { type: 'integration', id, name } })
    return gone
  }, options)
