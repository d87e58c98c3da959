import type { IntegrationId } from '../../brands.ts'
import { conflict, IntegrationsError } from '../../errors.ts'
import { type IntegrationView, type SecretField, secretColumns } from '../../integration.ts'
import type { Store } from '../../store/store.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { type Changed, type ChangeOptions, changeIntegration, type DryRun } from '../change.ts'
import { findIntegration } from '../find.ts'
import { secretsCommand } from '../texts.ts'
import { labelOf, noPrevious } from './values.ts'

/** The recorded versions of an integration's secrets. @throws NOT_FOUND, AMBIGUOUS */
export const listSecrets = (
  store: Store,
  ref: string,
): Promise<{ integration: IntegrationView; versions: readonly SecretVersion[] }> =>
  store.read(async (db) => {
    const integration = await findIntegration(db, ref)
    return { integration, versions: await db.secrets.versions(integration.id) }
  })

/** How to change a secret. */
interface SecretChangeOptions extends ChangeOptions {
  readonly field: SecretField
}

/** Within how long a receiver that works has reported in: it does so once a minute. */
const reportedLatelyMs = 300_000

/** How to end a grace period. */
export interface Finishing extends SecretChangeOptions {
  /** How long the previous secret must not have been used, in milliseconds. */
  readonly whenUnused: number
  /** End the grace period whatever the recorded use. */
  readonly force: boolean
}

/**
 * Ends a grace period: the previous secret is no longer accepted.
 *
 * @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT when the platform has no such secret, CONFLICT, GRACE_PERIOD_ACTIVE while the
 *   previous secret may be in use: it was used lately, the current secret never was, or no receiver has reported in lately
 */
export const finishSecret = (store: Store, ref: string, { field, ...options }: Finishing): Promise<Changed> =>
  changeIntegration(store, { ...options, ref }, async (tx, integration) => {
    const label = labelOf(integration, field)
    const previous = await tx.secrets.previous(integration.id, field)
    if (!previous) return undefined
    if (!options.force) {
      const { lastMatchedAt } = previous
      const inUse = (message: string) => {
        const hint = `check ${secretsCommand(ref)}, or pass --force`
        return new IntegrationsError({ code: 'GRACE_PERIOD_ACTIVE', message, hint })
      }
      if (lastMatchedAt && tx.now.getTime() - Date.parse(lastMatchedAt) < options.whenUnused)
        throw inUse(`the previous ${label} matched a request at ${lastMatchedAt}`)
      if (!(await tx.secrets.current(integration.id, field))?.lastMatchedAt)
        throw inUse(`the current ${label} has no recorded use yet, so the previous ${label} may still be in use`)
      const { receiverSeenAt } = await tx.keys.settings()
      // Without an endpoint that records usage, the usage is unknown.
      if (!receiverSeenAt || Math.abs(tx.now.getTime() - Date.parse(receiverSeenAt)) > reportedLatelyMs)
        throw inUse(
          receiverSeenAt
            ? `no receiver has reported in since ${receiverSeenAt}, so use of the previous ${label} may not be recorded`
            : `no receiver has reported in yet, so use of the previous ${label} is not recorded`,
        )
    }
    await tx.secrets.finish(integration.id, field)
    const column = secretColumns[field]
    return {
      action: 'secret.finish',
      fields: [column],
      fingerprints: [{ field: `previous_${column}`, from: previous.fingerprint, to: null }],
    }
  })

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
 * Records the values of an integration that the application has written and that have not been read yet.
 *
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND, NOT_PERMITTED
 */
export const recordExternalChanges = (store: Store, id: IntegrationId, fields: readonly SecretField[]): Promise<void> =>
  store.mutate(async (tx) => void (await tx.secrets.read(id, fields)))

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
