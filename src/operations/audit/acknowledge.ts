import { notFound, quoted } from '../../errors.ts'
import { acknowledgeAction } from '../../store/audit/log.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { DryRun } from '../change.ts'
import { ambiguous, mayBeginId } from '../find.ts'
import { checkChain, type EventProblem } from './chain.ts'
import { checkRows, type RowFinding } from './rows.ts'

/**
 * The damage that is acknowledged: what is wrong with one event, all events that a rollback of the log has lost, or a row
 * that another program has changed, put in or removed, by its id or the beginning of that.
 */
export type Damage = { readonly seq: bigint } | { readonly row: string } | 'rollback'

/** What was acknowledged. */
export type SeenProblem = EventProblem | ({ readonly kind: 'row' } & RowFinding)

/**
 * Records that a person has seen damage to the log and can explain it, by the reason of the change. From then on
 * `audit verify` lists it as acknowledged; other damage at the same place is a problem again.
 *
 * @returns the problems that are acknowledged now
 * @throws NOT_FOUND when there is no such problem, AMBIGUOUS when several rows begin so
 */
export const acknowledgeDamage = (store: Store, damage: Damage, options: DryRun): Promise<readonly SeenProblem[]> =>
  store.mutate(async (tx) => {
    const { keyring, settings } = tx
    const { id } = settings
    const chain = { keyring, id, head: await tx.audit.head(), seen: store.seen.of(id) }
    const { problems, untrusted } = await checkChain(tx, chain)
    if (typeof damage === 'object' && 'row' in damage) return acknowledgeRow(tx, damage.row, untrusted)
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

/** Records the columns of a row, by its id or the beginning of that, as they are, so that `audit verify` accepts the changes to the columns. Versions of secrets stay as recorded. */
async function acknowledgeRow(tx: Transaction, ref: string, untrusted: ReadonlySet<bigint>): Promise<SeenProblem[]> {
  const { findings } = await checkRows(tx, { key: tx.keyring.auditKey, untrusted, adopted: tx.adopted })
  const isShort = mayBeginId(ref) && findings.every(({ id }) => id !== ref)
  const found = findings.filter(({ id }) => (isShort ? id.startsWith(ref) : id === ref))
  const [one] = found
  if (!one) throw notFound(`no row with the id ${quoted(ref)} differs from the log`, 'integrations audit verify')
  if (found.some(({ id }) => id !== one.id))
    throw ambiguous(
      'row',
      ref,
      found.map(({ type, id, name }) => ({ ref: id, about: `${type} ${name}`, facts: { id, name, type } })),
    )
  for (const { type, id, name } of found) await tx.record({ action: acknowledgeAction, target: { type, id, name } })
  return found.map((one) => ({ kind: 'row', ...one }))
}
