import { IntegrationsError, shellWord } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { type IntegrationView, refOf, secretColumns, secretFields } from '../integration.ts'
import type { Store, Transaction } from '../store/store.ts'
import type { NewEvent, Target } from '../store/tables/events.ts'
import type { FingerprintChanges } from '../store/tables/fingerprints.ts'
import { findIntegration } from './find.ts'

/** How a change is to be made. */
export interface ChangeOptions {
  /** Only if this is still the version. */
  readonly ifVersion?: number
  /** Do everything but the change itself. */
  readonly dryRun?: boolean
}

/** What a change did: the integration before and after it; the same when there was nothing to do. */
export interface Changed {
  readonly before: IntegrationView
  readonly after: IntegrationView
}

/** What the audit log is to say of a change. */
export interface Facts extends Pick<NewEvent, 'action' | 'keyId'> {
  readonly fields?: readonly string[]
  readonly fingerprints?: FingerprintChanges
}

/**
 * Changes one integration in a transaction of its own, as `changeWithin`.
 *
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT when the version is another, and whatever `work` throws
 */
export const changeIntegration = (
  store: Store,
  ref: string,
  { ifVersion, dryRun }: ChangeOptions,
  work: (tx: Transaction, integration: IntegrationView) => Promise<Facts | undefined>,
): Promise<Changed> =>
  store.mutate(
    async (tx) =>
      changeWithin(tx, (await findIntegration(tx, ref)).id, ifVersion, (integration) => work(tx, integration)),
    { dryRun: dryRun ?? false },
  )

/**
 * Changes one integration: reads it under a lock, lets `work` change it, raises its version if it did, and records it.
 *
 * @param work returns what to record; undefined when it changed nothing
 * @throws NOT_FOUND, CONFLICT when the version is another, and whatever `work` throws
 */
export async function changeWithin(
  tx: Transaction,
  id: string,
  ifVersion: number | undefined,
  work: (integration: IntegrationView) => Promise<Facts | undefined>,
): Promise<Changed> {
  // The head row keeps this program's own changes apart; the application's are kept out from here on.
  await tx.integrations.lock(id)
  const [before] = await tx.integrations.match({ id }, 1)
  if (!before)
    throw new IntegrationsError({
      code: 'NOT_FOUND',
      message: 'the integration was just removed',
      hint: 'integrations list',
    })
  if (ifVersion !== undefined && before.version !== ifVersion) throw versionConflict(before, ifVersion)
  const facts = await work(before)
  if (!facts) return { before, after: before }
  if (!(await tx.integrations.raiseVersion(id, before.version, tx.now))) throw versionConflict(before, before.version)
  failpoint('version raised')
  await tx.record({
    ...facts,
    target: targetOf(before),
    versionBefore: before.version,
    versionAfter: before.version + 1,
  })
  const [after] = await tx.integrations.match({ id }, 1)
  return { before, after: after ?? before }
}

/** An integration as the audit log names it. */
export const targetOf = (integration: Pick<IntegrationView, 'id' | 'workspace' | 'name'>): Target => ({
  type: 'integration',
  id: integration.id,
  name: refOf(integration),
})

/** What the audit log is to say of an integration that is removed: with it, its secrets go. */
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

/** The integration changed since it was read: somebody has to look again. */
export const versionConflict = (integration: IntegrationView, expected: number): IntegrationsError =>
  new IntegrationsError({
    code: 'CONFLICT',
    message: `${refOf(integration)} is at version ${integration.version}, not ${expected}`,
    hint: `look at what changed with integrations show ${shellWord(integration.id)}, and try again`,
  })
