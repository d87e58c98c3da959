import type { IntegrationId } from '../../brands.ts'
import { conflict } from '../../errors.ts'
import { type IntegrationView, type SecretField, secretColumns } from '../../integration.ts'
import type { Store } from '../../store/store.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { auditOnly, type Changed, type ChangeOptions, changeIntegration, type DryRun } from '../change.ts'
import { findIntegration } from '../find.ts'
import { secretsCommand } from '../texts.ts'
import { labelOf, noPrevious } from './values.ts'

/** A version of a secret, and what its platform has last answered to the request to revoke it. */
export interface ListedVersion extends SecretVersion {
  /** An outcome of a revocation, or `started` where no answer is recorded; null: no request is. */
  readonly revocation: string | null
}

/** The recorded versions of an integration's secrets. @throws NOT_FOUND, AMBIGUOUS */
export const listSecrets = (
  store: Store,
  ref: string,
): Promise<{ integration: IntegrationView; versions: readonly ListedVersion[] }> =>
  store.read(async (db) => {
    const integration = await findIntegration(db, ref)
    const versions = await db.secrets.versions(integration.id)
    const answers = await db.revocations.answers(integration.id)
    const answerTo = ({ fingerprint }: SecretVersion) => (fingerprint && answers.get(fingerprint)) ?? null
    return { integration, versions: versions.map((one) => ({ ...one, revocation: answerTo(one) })) }
  })

/** How to change a secret. */
export interface SecretChangeOptions extends ChangeOptions {
  readonly field: SecretField
}

/**
 * Reverts a rotation: the previous secret becomes current, and the current secret stays valid for the rest of the grace
 * period. The recorded expiry of an access token goes with it.
 *
 * @throws NOT_FOUND also when no grace period is active, AMBIGUOUS, BAD_INPUT when the platform has no such secret,
 *   CONFLICT, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export const revertSecret = (store: Store, ref: string, { field, ...options }: SecretChangeOptions): Promise<Changed> =>
  changeIntegration(store, { ...options, ref }, async (tx, integration) => {
    const label = labelOf(integration, field)
    const previous = await tx.secrets.previous(integration.id, field)
    if (!previous) throw noPrevious(integration, field, ref)
    const held = (await tx.secrets.read(integration.id, [field]))[field]
    const print = held && (await tx.secrets.revert(integration.id, field, held))
    if (print === undefined)
      throw conflict(`the application wrote or cleared the ${label} meanwhile`, secretsCommand(ref))
    const [after] = await tx.integrations.match({ by: 'id', value: integration.id }, 1)
    const column = secretColumns[field]
    const fingerprints = [{ field: column, from: held?.fingerprint ?? null, to: print }]
    const fields = integration.tokenExpiresAt === after?.tokenExpiresAt ? [column] : [column, 'token_expires_at']
    return { action: 'secret.revert', fields, fingerprints }
  })

/**
 * Records the values of an integration that the application has written and that have not been read yet. Receivers of the
 * version before go on accepting previous secrets.
 *
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND, NOT_PERMITTED
 */
export const recordExternalChanges = (store: Store, id: IntegrationId, fields: readonly SecretField[]): Promise<void> =>
  store.mutate(async (tx) => void (await tx.secrets.read(id, fields)), auditOnly)

/**
 * Destroys the values of expired versions.
 *
 * @param options `atOnce`: those too that expired less than a day ago, or whose time a wrong clock may have told
 * @returns how many, and how many are still kept
 */
export const purgeSecrets = (
  store: Store,
  { atOnce = false, ...options }: DryRun & { readonly atOnce?: boolean },
): Promise<{ purged: number; kept: number; waiting: boolean }> =>
  store.mutate(async (tx) => {
    const purged = await tx.purge(atOnce)
    const { kept, aDayAgo } = await tx.secrets.countExpired()
    const waiting = purged === 0 && aDayAgo > 0
    // The event that the next purge goes by: in a database without changes, values would be kept for ever.
    if (waiting)
      await tx.record({
        action: 'secret.purge',
        target: { type: 'database', id: tx.settings.id, name: null },
        count: 0,
      })
    return { purged, kept, waiting }
  }, options)
