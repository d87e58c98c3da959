import { notFound } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { DryRun } from '../change.ts'
import { acknowledgeAction, checkChain, type EventProblem } from './chain.ts'

/** The damage that is acknowledged: what is wrong with one event, or all events that a rollback of the log has lost. */
export type Damage = { readonly seq: bigint } | 'rollback'

/**
 * Records that a person has seen damage to the log and can explain it, by the reason of the change. From then on
 * `audit verify` lists it as acknowledged; other damage at the same place is a problem again.
 *
 * @returns the problems that are acknowledged now
 * @throws NOT_FOUND when there is no such problem
 */
export const acknowledgeDamage = (store: Store, damage: Damage, options: DryRun): Promise<readonly EventProblem[]> =>
  store.mutate(async (tx) => {
    const { keyring, settings } = tx
    const { id } = settings
    const chain = { keyring, id, head: await tx.audit.head(), seen: store.seen.of(id) }
    const { problems } = await checkChain(tx, chain)
    const seen = problems.filter(({ kind, seq }) => (damage === 'rollback' ? kind !== 'event' : seq === damage.seq))
    if (seen.length === 0)
      throw notFound(
        damage === 'rollback'
          ? 'the audit log has no rollback that is not acknowledged'
          : `the event ${damage.seq} has no problem that is not acknowledged`,
        'integrations audit verify',
      )
    if (seen.some(({ kind }) => kind !== 'event')) tx.acceptLog()
    await tx.record({
      action: acknowledgeAction,
      target: { type: 'database', id, name: null },
      fields: seen.map(({ mark }) => mark),
    })
    return seen
  }, options)
