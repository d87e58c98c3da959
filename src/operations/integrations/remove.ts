import type { IntegrationView } from '../../integration.ts'
import type { Store } from '../../store/store.ts'
import { type ChangeOptions, removalOf, versionConflict } from '../change.ts'
import { findIntegration } from '../find.ts'
import { refuseWhileRefreshed } from '../refresh/eligibility.ts'

/**
 * Removes an integration, its secrets and every record of it but the audit log.
 *
 * @returns the integration as it was
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, LEASE_HELD while its tokens are being refreshed
 */
export const removeIntegration = (store: Store, ref: string, options: ChangeOptions): Promise<IntegrationView> =>
  store.mutate(async (tx) => {
    const { ifVersion } = options
    const integration = await findIntegration(tx, ref)
    if (ifVersion !== undefined && integration.version !== ifVersion) throw versionConflict(integration, ifVersion)
    await refuseWhileRefreshed(tx, integration)
    await tx.integrations.remove(integration.id)
    await tx.record(removalOf(integration))
    return integration
  }, options)
