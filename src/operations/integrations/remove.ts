import type { Integration } from '../../integration.ts'
import type { Store } from '../../store/store.ts'
import { type ChangeOptions, movedOn, removalOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { refuseWhileRefreshed } from '../refresh/eligibility.ts'

/**
 * Removes an integration, its secrets and all that this tool keeps about it.
 *
 * @returns the integration as it was
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, LEASE_HELD while its tokens are being refreshed
 */
export const removeIntegration = (
  store: Store,
  ref: string,
  { ifVersion, dryRun = false }: ChangeOptions,
): Promise<Integration> =>
  store.mutate(
    async (rows) => {
      const integration = await findIntegration(rows, ref)
      if (ifVersion !== undefined && integration.version !== ifVersion) throw movedOn(integration, ifVersion)
      await refuseWhileRefreshed(rows, integration)
      await rows.integrations.remove(integration.id)
      await rows.record(removalOf(integration))
      return integration
    },
    { dryRun },
  )
