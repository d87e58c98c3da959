import { type IntegrationId, instantOf } from '../../brands.ts'
import { damaged } from '../../damage.ts'
import { is } from '../../errors.ts'
import { type IntegrationView, secretColumns } from '../../integration.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { auditOnly, type Changed, type ChangeOptions, changeIntegration } from '../change.ts'
import type { Ref } from '../find.ts'

/**
 * Enables or disables an integration, or switches between the two.
 *
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT
 */
export const setActive = (
  store: Store,
  ref: Ref,
  { to, ...options }: ChangeOptions & { readonly to: boolean | 'toggle' },
): Promise<Changed> =>
  changeIntegration(store, { ...options, ref, damagedToo: true }, async (tx, { damage, ...integration }) => {
    const unknown = damage?.includes('isActive') ?? false
    const others = damage?.filter((field) => field !== 'isActive' || to === 'toggle') ?? []
    if (others.length > 0) throw damaged(integration.id, others)
    const isActive = to === 'toggle' ? !integration.isActive : to
    if (isActive === integration.isActive && !unknown) return undefined
    await tx.integrations.update(integration.id, { isActive })
    return { action: isActive ? 'integration.enable' : 'integration.disable', fields: ['is_active'] }
  })

/**
 * Disables an integration whose credentials the platform has revoked, unless the integration was connected again since:
 * platforms may deliver the news late. Receivers of the version before go on accepting previous secrets.
 *
 * @param at when the platform revoked them; null: unknown
 * @returns false when the integration was added, got an access token, or was enabled since, or this program had a previous token revoked
 * @throws NOT_FOUND, CONFLICT
 */
export async function disableRevoked(store: Store, id: string, at: Date | null): Promise<boolean> {
  let connectedSince = false
  await changeIntegration(store, { ...auditOnly, ref: { id } }, async (tx, integration) => {
    connectedSince = at !== null && (await isConnectedSince(tx, integration, at))
    if (connectedSince || !integration.isActive) return undefined
    await tx.integrations.update(integration.id, { isActive: false })
    return { action: 'integration.disable', fields: ['is_active'] }
  })
  return !connectedSince
}

/** How old news may be, in milliseconds, so that a token that was not recorded yet is taken for older than the news. */
const freshNewsMs = 600_000

/** How long before or after the news, in milliseconds, this program may have recorded that it had the token revoked. */
const ownNewsMs = 60_000

async function isConnectedSince(tx: Transaction, { id, createdAt, accessToken }: IntegrationView, at: Date) {
  if ([createdAt, accessToken.setAt].some((time) => time !== null && Date.parse(time) > at.getTime())) return true
  // The news is of a token that this program had revoked because another had replaced it.
  const own = { targetIds: [id], action: 'secret.revoke', field: `previous_${secretColumns.accessToken}` }
  const since = instantOf(at.getTime() - ownNewsMs)
  if ((await tx.audit.count({ ...own, since, until: instantOf(at.getTime() + ownNewsMs) })) > 0) return true
  const enabled = await tx.audit.count({ targetIds: [id], action: 'integration.enable', since: instantOf(at) })
  if (enabled > 0) return true
  // The application may have connected it again, and written the token itself.
  return tx.now.getTime() - at.getTime() > freshNewsMs && hasUnrecordedToken(tx, id)
}

async function hasUnrecordedToken(tx: Transaction, id: IntegrationId): Promise<boolean> {
  const known = await tx.secrets.current(id, 'accessToken')
  try {
    const { accessToken } = await tx.secrets.read(id, ['accessToken'])
    return accessToken !== undefined && accessToken.number !== known?.number
  } catch (error) {
    // A token that cannot be read tells nothing.
    if (!is(error, 'DECRYPTION_FAILED', 'KEY_NOT_FOUND')) throw error
    return false
  }
}
