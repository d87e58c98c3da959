import type { Store } from '../../store/store.ts'
import { type Changed, type ChangeOptions, changeIntegration } from '../change.ts'

/**
 * Enables or disables an integration, or switches between the two.
 *
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT
 */
export const setActive = (
  store: Store,
  ref: string,
  { to, ...options }: ChangeOptions & { readonly to: boolean | 'toggle' },
): Promise<Changed> =>
  changeIntegration(store, { ...options, ref }, async (tx, integration) => {
    const isActive = to === 'toggle' ? !integration.isActive : to
    if (isActive === integration.isActive) return undefined
    await tx.integrations.update(integration.id, { isActive })
    return { action: isActive ? 'integration.enable' : 'integration.disable', fields: ['is_active'] }
  })
