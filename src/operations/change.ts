import type { IntegrationId } from '../brands.ts'
import { refuseDamage } from '../damage.ts'
import { conflict, IntegrationsError, notFound } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { type IntegrationView, refOf, secretColumns, secretFields } from '../integration.ts'
import type { NewEvent, Target } from '../store/audit/events.ts'
import type { FingerprintChanges } from '../store/audit/fingerprints.ts'
import type { Store, Transaction } from '../store/store.ts'
import { findIntegration, type Ref, refText } from './find.ts'
import { checkAndRetry } from './texts.ts'

/** Whether to do everything but the change itself. */
export type DryRun = { readonly dryRun: boolean }

/** For work that does not count as a change that the user asked for, such as reading secrets. It writes no previous value. */
export const auditOnly = { auditOnly: true }

/** How to make a change. */
export interface ChangeOptions {
  /** Refuse unless the integration is at this version. */
  readonly ifVersion?: number | undefined
  /** Do everything but the change itself. */
  readonly dryRun?: boolean
}

/** The integration before and after a change; the same object when there was nothing to do. */
export interface Changed {
  readonly before: IntegrationView
  readonly after: IntegrationView
}

/** What the audit log records of a change. */
export interface Facts extends Pick<NewEvent, 'action' | 'keyId'> {
  readonly fields?: readonly string[]
  readonly fingerprints?: FingerprintChanges
}

/** What the work of a change decided. */
export interface Decision<R extends object> {
  /** What to record; without it, nothing was changed. */
  readonly facts?: Facts | undefined
  /** What the caller gets besides the integration before and after. */
  readonly result: R
}

/**
 * Changes one integration in a transaction of its own, as `changeWithin` does.
 *
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT when the version is another or it was just renamed, and whatever `work` throws
 */
export async function changeIntegration(
  store: Store,
  {
    ref,
    damagedToo,
    ...options
  }: ChangeOptions & { readonly ref: Ref; readonly damagedToo?: boolean; readonly auditOnly?: boolean },
  work: (tx: Transaction, integration: IntegrationView) => Promise<Facts | undefined>,
): Promise<Changed> {
  const found = await findToChange(store, ref, { damagedToo })
  return store.mutate(
    (tx) =>
      changeWithin(tx, { ...options, ...found }, async (integration) => ({
        facts: await work(tx, integration),
        result: {},
      })),
    options,
  )
}

/** An integration that was found before the lock is held. */
export interface FoundIntegration {
  readonly id: IntegrationId
  /** The `workspace/name` that it was found by in part; undefined when it was found by its id. */
  readonly path?: string | undefined
}

/**
 * The integration that a reference stands for; others are not held up meanwhile.
 *
 * @throws NOT_FOUND, AMBIGUOUS, DATABASE_INVALID, NOT_PERMITTED when nothing may be changed
 */
export async function findToChange(
  store: Store,
  ref: Ref,
  { damagedToo = false }: { readonly damagedToo?: boolean | undefined } = {},
): Promise<FoundIntegration> {
  const found = await store.readForChange((db) => findIntegration(db, ref, { damagedToo }))
  return { id: found.id, path: found.id.startsWith(refText(ref)) ? undefined : refOf(found) }
}

/**
 * Changes one integration: reads it under a lock, lets `work` change it, and if it did, raises the version and records
 * the change.
 *
 * @throws NOT_FOUND, CONFLICT when the version or the name is another, and whatever `work` throws
 */
export async function changeWithin<R extends object>(
  tx: Transaction,
  { id, path, ifVersion }: Pick<ChangeOptions, 'ifVersion'> & FoundIntegration,
  work: (integration: IntegrationView) => Promise<Decision<R>>,
): Promise<Changed & R> {
  // The lock on the head row serializes this program's own changes; this lock keeps the application's out.
  await tx.integrations.lock(id)
  const [before] = await tx.integrations.match({ by: 'id', value: id }, 1)
  if (!before) throw notFound(`the integration ${id} was just removed`, 'integrations list')
  if (before.damage?.includes('version')) refuseDamage(before)
  if (path !== undefined && refOf(before) !== path)
    throw conflict(`${path} was just renamed to ${refOf(before)}`, checkAndRetry(id))
  if (ifVersion !== undefined && before.version !== ifVersion) throw versionConflict(before, ifVersion)
  const { facts, result } = await work(before)
  if (!facts) return { ...result, before, after: before }
  if (!(await tx.integrations.raiseVersion(id, before.version, tx.now))) throw versionConflict(before, before.version)
  failpoint('version raised')
  await tx.record({
    ...facts,
    target: targetOf(before),
    versionBefore: before.version,
    versionAfter: before.version + 1,
  })
  const [after] = await tx.integrations.match({ by: 'id', value: id }, 1)
  return { ...result, before, after: after ?? before }
}

/** An integration as the target of an audit event. */
export const targetOf = (integration: Pick<IntegrationView, 'id' | 'workspace' | 'name'>): Target => ({
  type: 'integration',
  id: integration.id,
  name: refOf(integration),
})

/** The event for an integration that is removed with its secrets. */
export function removalOf(integration: IntegrationView): NewEvent {
  const fingerprints = secretFields.flatMap((field) => {
    const from = integration[field].fingerprint
    return from === null ? [] : [{ field: secretColumns[field], from, to: null }]
  })
  return {
    action: 'integration.remove',
    target: targetOf(integration),
    fields: fingerprints.map(({ field }) => field),
    fingerprints,
    versionBefore: integration.version,
  }
}

/** The integration was changed since it was read. */
export const versionConflict = (integration: IntegrationView, expected: number): IntegrationsError =>
  new IntegrationsError({
    code: 'CONFLICT',
    message: `${refOf(integration)} is at version ${integration.version}, not ${expected}`,
    hint: checkAndRetry(integration.id),
    details: { version: integration.version },
  })
