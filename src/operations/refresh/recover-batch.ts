import type { Store } from '../../store/store.ts'
import { findChosen, withoutConfig } from '../find.ts'
import { verifyKeys } from '../keys/keys.ts'
import { type BatchFailure, failureOf } from './batch.ts'
import { type Recovered, type RecoverOptions, recoverOne, toRecover } from './recover.ts'
import { removeLeftovers } from './spool-cleanup.ts'

/** The result of a recovery for one integration. */
export type RecoverRow = Omit<Recovered, 'outcome'> & {
  readonly outcome: Recovered['outcome'] | BatchFailure['outcome']
}

/**
 * Recovers the refreshes of several integrations, one after another, and removes files of the spool that are no longer
 * needed. All of them together wait for leases for `wait` milliseconds at most.
 *
 * @param refs undefined: every integration whose refresh has an unknown outcome
 * @returns a row for each integration, the number of removed files, and why the spool could not be cleaned up
 * @throws NOT_FOUND, AMBIGUOUS for a reference, and what the store and `verifyKeys` throw; other errors are in the rows
 */
export async function recoverMany(
  store: Store,
  refs: readonly string[] | undefined,
  options: RecoverOptions,
): Promise<{ rows: RecoverRow[]; removedFiles: number; cleanUpFailure?: { readonly error: unknown } }> {
  const integrations = await (refs
    ? findChosen(store, { kind: 'refs', refs }, (one) => one)
    : toRecover(store, options.spool))
  // An error that would occur for every integration occurs before any platform is asked.
  if (integrations.length > 0) await verifyKeys(store)
  const rows: RecoverRow[] = []
  const deadline = performance.now() + options.wait
  for (const integration of integrations) {
    const wait = Math.max(0, deadline - performance.now())
    try {
      const recovered = await recoverOne(store, integration.id, { ...options, wait })
      rows.push({ ...recovered, integration: withoutConfig(recovered.integration) })
    } catch (error) {
      rows.push({ integration, accessToken: null, worksUntil: null, ...failureOf(error) })
    }
  }
  const ids = refs && new Set(integrations.map(({ id }) => id))
  return removeLeftovers(store, options.spool, ids).then(
    (removedFiles) => ({ rows, removedFiles }),
    (error: unknown) => ({ rows, removedFiles: 0, cleanUpFailure: { error } }),
  )
}
