import type { IntegrationId } from '../../brands.ts'
import { type IntegrationView, secretColumns } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { NewEvent } from '../../store/audit/events.ts'
import { decryptAccepted, type ValidSecret } from '../../store/secrets/decrypt-accepted.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { auditOnly, targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { noPrevious, noSecret } from '../secrets/values.ts'

/** The webhook secret to sign with: `previous` is the newest secret in its grace period. */
export type Signer = 'current' | 'previous'

/**
 * The accepted webhook secrets of some integrations, by integration; the current secret goes first.
 *
 * @param onError receives the error of a secret that cannot be decrypted
 */
export async function acceptedSecrets(
  { secrets, keyring, settings, previousValues }: Transaction,
  ids: readonly IntegrationId[],
  onError: (error: unknown) => void,
): Promise<ReadonlyMap<IntegrationId, readonly ValidSecret[]>> {
  const { stored } = await secrets.valid('webhookSecret', ids)
  const accepted = new Map<IntegrationId, readonly ValidSecret[]>()
  const decryption = { keyring, mode: settings.mode, previous: previousValues }
  for (const one of stored) accepted.set(one.id, decryptAccepted(decryption, one, onError))
  return accepted
}

/**
 * The accepted webhook secrets of one integration, the current secret first. A value of the application is recorded.
 *
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function ownSecrets(tx: Transaction, { id }: IntegrationView): Promise<readonly ValidSecret[]> {
  await tx.secrets.read(id, ['webhookSecret'])
  const accepted = await acceptedSecrets(tx, [id], (error) => {
    throw error
  })
  return accepted.get(id) ?? []
}

/** Which secret to sign with, and the audit event to record. */
interface SigningRequest extends Pick<NewEvent, 'action' | 'outcome' | 'fields'> {
  readonly ref: string
  readonly signer: Signer
}

/** An integration, and the secret to sign its webhook with. */
export interface Signing {
  readonly integration: IntegrationView
  readonly platform: Platform
  readonly secret: ValidSecret
}

/**
 * Reads the secret to sign a webhook with. Access is committed to the audit log first.
 *
 * @throws NOT_FOUND when there is no such secret, AMBIGUOUS, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export const openSigning = (store: Store, { ref, signer, ...event }: SigningRequest): Promise<Signing> =>
  store.mutate(async (tx) => {
    const integration = await findIntegration(tx, ref)
    const platform = platformOf(integration)
    const accepted = await ownSecrets(tx, integration)
    const secret = accepted.find(({ validUntil }) => (validUntil === null) === (signer === 'current'))
    if (!secret) throw (signer === 'current' ? noSecret : noPrevious)(integration, 'webhookSecret', ref)
    await tx.record({
      ...event,
      target: targetOf(integration),
      fields: [signedWith(signer), ...(event.fields ?? [])],
    })
    return { integration, platform, secret }
  }, auditOnly)

/** The name of a used secret in the audit log. */
export const signedWith = (signer: Signer): string =>
  signer === 'current' ? secretColumns.webhookSecret : `previous_${secretColumns.webhookSecret}`
