import { IntegrationsError, shellWord } from '../../errors.ts'
import { flagOf, type IntegrationView, refOf, type SecretField, secretColumns } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { type Changed, type ChangeOptions, changeIntegration, targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { secretDefinition } from './values.ts'

/** The versions of an integration's secrets that are remembered. @throws NOT_FOUND, AMBIGUOUS */
export const listSecrets = (
  store: Store,
  ref: string,
): Promise<{ integration: IntegrationView; versions: readonly SecretVersion[] }> =>
  store.read(async (db) => {
    const integration = await findIntegration(db, ref)
    return { integration, versions: await db.secrets.versions(integration.id) }
  })

/** How the window of a rotation is to be ended. */
export interface Finishing extends ChangeOptions {
  /** How long the old value must not have been used, in milliseconds. */
  readonly whenUnused: number
  /** End it, whatever is known of its use. */
  readonly force: boolean
}

/**
 * Ends the window of a rotation: the old value is not accepted any more.
 *
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, GRACE_PERIOD_ACTIVE while the old value may be in use: it was, of late, or the new
 *   one never has been
 */
export const finishSecret = (store: Store, ref: string, field: SecretField, options: Finishing): Promise<Changed> =>
  changeIntegration(store, ref, options, async (tx, integration) => {
    const { label } = secretDefinition(platformOf(integration), field)
    const previous = await tx.secrets.previous(integration.id, field)
    if (!previous) return undefined
    if (!options.force) await refuseInUse(tx, integration, field, label, previous, options.whenUnused)
    await tx.secrets.finish(integration.id, field)
    const column = secretColumns[field]
    return {
      action: 'secret.finish',
      fields: [column],
      fingerprints: [{ field: `previous_${column}`, from: previous.fingerprint, to: null }],
    }
  })

async function refuseInUse(
  tx: Transaction,
  integration: IntegrationView,
  field: SecretField,
  label: string,
  previous: { readonly lastMatchedAt: Date | null },
  whenUnused: number,
): Promise<void> {
  const hint = `see integrations secrets list ${shellWord(integration.id)}; pass --force if you know better`
  if (previous.lastMatchedAt && tx.now.getTime() - previous.lastMatchedAt.getTime() < whenUnused)
    throw new IntegrationsError({
      code: 'GRACE_PERIOD_ACTIVE',
      message: `the old ${label} still matched a request at ${previous.lastMatchedAt.toISOString()}`,
      hint,
    })
  if ((await tx.secrets.currentMatchedAt(integration.id, field)) === null)
    throw new IntegrationsError({
      code: 'GRACE_PERIOD_ACTIVE',
      message: `no request is known to have matched the new ${label} yet: the old one may still be in use`,
      hint,
    })
}

/**
 * Takes a rotation back: the value before it is current again, and the one taken back stays valid for what is left of
 * the window. With an access token goes when it ends, as far as that was known.
 *
 * @throws NOT_FOUND when no window is open, AMBIGUOUS, CONFLICT
 */
export const revertSecret = (store: Store, ref: string, field: SecretField, options: ChangeOptions): Promise<Changed> =>
  changeIntegration(store, ref, options, async (tx, integration) => {
    const { label } = secretDefinition(platformOf(integration), field)
    const previous = await tx.secrets.previous(integration.id, field)
    if (!previous)
      throw new IntegrationsError({
        code: 'NOT_FOUND',
        message: `${refOf(integration)} has no old ${label} that is still valid`,
        hint: `put the value in with integrations rotate ${shellWord(integration.id)} --field ${flagOf(field)}`,
      })
    const held = (await tx.secrets.read(integration.id, [field]))[field]
    const print = held && (await tx.secrets.revert(integration.id, field, held))
    if (print === undefined)
      throw new IntegrationsError({
        code: 'CONFLICT',
        message: `the application wrote or cleared the ${label} meanwhile`,
        hint: `look with integrations secrets list ${shellWord(integration.id)}`,
      })
    const [after] = await tx.integrations.match({ id: integration.id }, 1)
    const column = secretColumns[field]
    const fingerprints = [{ field: column, from: held?.fingerprint ?? null, to: print }]
    const fields = integration.tokenExpiresAt === after?.tokenExpiresAt ? [column] : [column, 'token_expires_at']
    return { action: 'secret.revert', fields, fingerprints }
  })

/** Secrets that were read, by field. */
export type ReadSecrets = ReadonlyMap<SecretField, Secret>

/**
 * Reads current secrets; that it was done is committed to the audit log before anybody gets them.
 *
 * @param fields those wanted; none: all that are set
 * @param action what the log calls it
 * @throws NOT_FOUND when a wanted one is not set, or none is, AMBIGUOUS, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export const readSecrets = (
  store: Store,
  ref: string,
  fields: readonly SecretField[],
  action: 'secret.reveal' | 'secret.exec',
): Promise<{ integration: IntegrationView; platform: Platform; secrets: ReadSecrets }> =>
  store.mutate(
    async (tx) => {
      const integration = await findIntegration(tx, ref)
      const platform = platformOf(integration)
      const wanted = fields.length > 0 ? fields : (Object.keys(platform.secrets) as SecretField[])
      for (const field of wanted) secretDefinition(platform, field)
      const held = await tx.secrets.read(integration.id, wanted)
      const secrets = new Map(wanted.flatMap((field) => (held[field] ? [[field, held[field].value] as const] : [])))
      const lacking = fields.find((field) => !secrets.has(field))
      if (lacking)
        throw new IntegrationsError({
          code: 'NOT_FOUND',
          message: `${refOf(integration)} has no ${secretDefinition(platform, lacking).label}`,
          hint: `integrations rotate ${shellWord(integration.id)} --field ${flagOf(lacking)}`,
        })
      if (secrets.size === 0)
        throw new IntegrationsError({
          code: 'NOT_FOUND',
          message: `${refOf(integration)} has no secret`,
          hint: `integrations rotate ${shellWord(integration.id)}`,
        })
      await tx.record({
        action,
        outcome: action === 'secret.exec' ? 'started' : 'done',
        target: targetOf(integration),
        fields: [...secrets.keys()].map((field) => secretColumns[field]),
      })
      return { integration, platform, secrets }
    },
    { auditOnly: true },
  )

/**
 * Records the values of an integration that the application has written and nobody has read yet.
 *
 * @throws NOT_FOUND, DECRYPTION_FAILED, KEY_NOT_FOUND, NOT_PERMITTED
 */
export const recordExternalChanges = (store: Store, id: string, fields: readonly SecretField[]): Promise<void> =>
  store.mutate(async (tx) => void (await tx.secrets.read(id, fields)))

/**
 * Records how a program ended that had secrets in its environment.
 *
 * @param given what `readSecrets` gave for it
 */
export const recordExecResult = (
  store: Store,
  { integration, secrets }: { readonly integration: IntegrationView; readonly secrets: ReadSecrets },
  outcome: 'done' | 'failed',
): Promise<void> =>
  store.mutate(
    (tx) =>
      tx.record({
        action: 'secret.exec',
        outcome,
        target: targetOf(integration),
        fields: [...secrets.keys()].map((field) => secretColumns[field]),
      }),
    { auditOnly: true },
  )

/** Forgets every old value whose time is over. @returns how many */
export const purgeSecrets = (store: Store, options: { readonly dryRun: boolean }): Promise<number> =>
  store.mutate((tx) => tx.purge(), options)
