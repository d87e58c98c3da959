import { IntegrationsError, shellWord } from '../../errors.ts'
import { flagOf, type Integration, refOf, type SecretField, secretColumns } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Changes, Store } from '../../store/store.ts'
import type { FingerprintChanges } from '../../store/tables/fingerprints.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { type Changed, type ChangeOptions, changeIntegration, targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { secretDefinition } from './values.ts'

/** The versions of an integration's secrets that are remembered. @throws NOT_FOUND, AMBIGUOUS */
export const listSecrets = (
  store: Store,
  ref: string,
): Promise<{ integration: Integration; versions: readonly SecretVersion[] }> =>
  store.read(async (rows) => {
    const integration = await findIntegration(rows, ref)
    return { integration, versions: await rows.secrets.versions(integration.id) }
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
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, WINDOW_OPEN while the old value may be in use: it was, of late, or the new
 *   one never has been
 */
export const finishSecret = (store: Store, ref: string, field: SecretField, options: Finishing): Promise<Changed> =>
  changeIntegration(store, ref, options, async (rows, integration) => {
    const { label } = secretDefinition(platformOf(integration), field)
    const previous = await rows.secrets.previous(integration.id, field)
    if (!previous) return undefined
    if (!options.force) await refuseInUse(rows, integration, field, label, previous, options.whenUnused)
    await rows.secrets.finish(integration.id, field)
    const column = secretColumns[field]
    return {
      action: 'secret.finish',
      fields: [column],
      fingerprints: [{ field: `previous_${column}`, from: previous.fingerprint, to: null }],
    }
  })

async function refuseInUse(
  rows: Changes,
  integration: Integration,
  field: SecretField,
  label: string,
  previous: { readonly lastMatchedAt: Date | null },
  whenUnused: number,
): Promise<void> {
  const hint = `see integrations secrets list ${shellWord(integration.id)}; pass --force if you know better`
  if (previous.lastMatchedAt && rows.now.getTime() - previous.lastMatchedAt.getTime() < whenUnused)
    throw new IntegrationsError(
      'WINDOW_OPEN',
      `the old ${label} still matched a request at ${previous.lastMatchedAt.toISOString()}`,
      hint,
    )
  if ((await rows.secrets.currentMatchedAt(integration.id, field)) === null)
    throw new IntegrationsError(
      'WINDOW_OPEN',
      `no request is known to have matched the new ${label} yet: the old one may still be in use`,
      hint,
    )
}

/**
 * Takes a rotation back: the value before it is current again, and the one taken back stays valid for what is left of
 * the window. With an access token goes when it ends, as far as that was known.
 *
 * @throws NOT_FOUND when no window is open, AMBIGUOUS, CONFLICT
 */
export const revertSecret = (store: Store, ref: string, field: SecretField, options: ChangeOptions): Promise<Changed> =>
  changeIntegration(store, ref, options, async (rows, integration) => {
    const { label } = secretDefinition(platformOf(integration), field)
    const previous = await rows.secrets.previous(integration.id, field)
    if (!previous)
      throw new IntegrationsError(
        'NOT_FOUND',
        `${refOf(integration)} has no old ${label} that is still valid`,
        `put the value in with integrations rotate ${shellWord(integration.id)} --field ${flagOf(field)}`,
      )
    const fingerprints: FingerprintChanges[number][] = []
    const held = (await rows.secrets.read(integration.id, [field], (changes) => fingerprints.push(...changes)))[field]
    const print = held && (await rows.secrets.revert(integration.id, field, held))
    if (print === undefined)
      throw new IntegrationsError(
        'CONFLICT',
        `the application wrote or cleared the ${label} meanwhile`,
        `look with integrations secrets list ${shellWord(integration.id)}`,
      )
    const [after] = await rows.integrations.match({ id: integration.id }, 1)
    const column = secretColumns[field]
    fingerprints.push({ field: column, from: held?.fingerprint ?? null, to: print })
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
 * @throws NOT_FOUND when a wanted one is not set, or none is, AMBIGUOUS, SEAL_BROKEN, KEY_UNKNOWN
 */
export const readSecrets = (
  store: Store,
  ref: string,
  fields: readonly SecretField[],
  action: 'secret.reveal' | 'secret.exec',
): Promise<{ integration: Integration; platform: Platform; secrets: ReadSecrets }> =>
  store.mutate(
    async (rows) => {
      const integration = await findIntegration(rows, ref)
      const platform = platformOf(integration)
      const wanted = fields.length > 0 ? fields : (Object.keys(platform.secrets) as SecretField[])
      for (const field of wanted) secretDefinition(platform, field)
      const noticed: FingerprintChanges[number][] = []
      const held = await rows.secrets.read(integration.id, wanted, (changes) => noticed.push(...changes))
      const secrets = new Map(wanted.flatMap((field) => (held[field] ? [[field, held[field].value] as const] : [])))
      const lacking = fields.find((field) => !secrets.has(field))
      if (lacking)
        throw new IntegrationsError(
          'NOT_FOUND',
          `${refOf(integration)} has no ${secretDefinition(platform, lacking).label}`,
          `integrations rotate ${shellWord(integration.id)} --field ${flagOf(lacking)}`,
        )
      if (secrets.size === 0)
        throw new IntegrationsError(
          'NOT_FOUND',
          `${refOf(integration)} has no secret`,
          `integrations rotate ${shellWord(integration.id)}`,
        )
      await rows.record({
        action,
        outcome: action === 'secret.exec' ? 'started' : 'done',
        target: targetOf(integration),
        fields: [...secrets.keys()].map((field) => secretColumns[field]),
        fingerprints: noticed,
      })
      return { integration, platform, secrets }
    },
    { reading: true },
  )

/**
 * Records the values of an integration that the application has written and nobody has read yet.
 *
 * @throws NOT_FOUND, SEAL_BROKEN, KEY_UNKNOWN, NOT_PERMITTED
 */
export const noticeSecrets = (store: Store, id: string, fields: readonly SecretField[]): Promise<void> =>
  store.mutate(async (rows) => {
    const noticed: FingerprintChanges[number][] = []
    await rows.secrets.read(id, fields, (changes) => noticed.push(...changes))
    if (noticed.length === 0) return
    const target = targetOf(await findIntegration(rows, id))
    await rows.record({ action: 'secret.notice', target, fingerprints: noticed })
  })

/**
 * Records how a program ended that had secrets in its environment.
 *
 * @param given what `readSecrets` gave for it
 */
export const recordEnd = (
  store: Store,
  { integration, secrets }: { readonly integration: Integration; readonly secrets: ReadSecrets },
  outcome: 'done' | 'failed',
): Promise<void> =>
  store.mutate(
    (rows) =>
      rows.record({
        action: 'secret.exec',
        outcome,
        target: targetOf(integration),
        fields: [...secrets.keys()].map((field) => secretColumns[field]),
      }),
    { reading: true },
  )

/** Forgets every old value whose time is over. @returns how many */
export const purgeSecrets = (store: Store, options: { readonly dryRun: boolean }): Promise<number> =>
  store.mutate((rows) => rows.purge(), options)
