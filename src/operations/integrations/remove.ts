import type { IntegrationView } from '../../integration.ts'
import type { ApiUrls } from '../../platforms/api-urls.ts'
import type { Store } from '../../store/store.ts'
import { type ChangeOptions, removalOf, versionConflict } from '../change.ts'
import { findIntegration, type Ref } from '../find.ts'
import { refuseWhileRefreshed } from '../refresh/eligibility.ts'
import { beginRevocation, type RevocableToken } from '../secrets/revocation.ts'

/** How to remove an integration. */
export interface Removal extends ChangeOptions {
  /** Have the platform revoke its access tokens, asked at these addresses. */
  readonly revoke?: ApiUrls | undefined
}

/**
 * Removes an integration, its secrets and every record of it but the audit log.
 *
 * @returns the integration as it was, and the tokens that are to be revoked now, with `revokeTokens`
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, LEASE_HELD while its tokens are being refreshed; with `revoke` also BAD_INPUT when the
 *   platform cannot revoke them, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export const removeIntegration = (
  store: Store,
  ref: Ref,
  { ifVersion, revoke, ...options }: Removal,
): Promise<{ readonly integration: IntegrationView; readonly tokens: readonly RevocableToken[] }> =>
  store.mutate(async (tx) => {
    const integration = await findIntegration(tx, ref)
    if (ifVersion !== undefined && integration.version !== ifVersion) throw versionConflict(integration, ifVersion)
    await refuseWhileRefreshed(tx, integration)
    if (revoke) await tx.integrations.lock(integration.id)
    const tokens = revoke ? await beginRevocation(tx, integration, { scope: 'all', urls: revoke }) : []
    await tx.integrations.remove(integration.id)
    await tx.record(removalOf(integration))
    return { integration, tokens }
  }, options)
