import { serialize } from '../../concurrency.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { targetOf } from '../change.ts'
import { readSpool, removeSpooled, type Spooled } from './spool.ts'

/**
 * Removes files of the spool that nobody needs any more: their tokens are in the database, or of no use. Each is
 * recorded before it goes. Those of other databases stay.
 *
 * @param ids the integrations to look at; undefined: all, and those that are gone
 * @returns how many
 */
export async function removeLeftovers(store: Store, folder: string, ids?: ReadonlySet<string>): Promise<number> {
  let removed = 0
  for (const file of readSpool(folder)) {
    if (!(await serialize(store, () => store.mutate((tx) => discard(tx, file, ids))))) continue
    removeSpooled(folder, file.path)
    removed++
  }
  return removed
}

async function discard(tx: Transaction, { attempt, content }: Spooled, ids?: ReadonlySet<string>): Promise<boolean> {
  if (content && content.database !== tx.settings.id) return false
  const shared = await tx.refresh.shared(attempt)
  const [id = ''] = [content?.integration, ...shared.map(({ integrationId }) => integrationId)].filter(
    (one) => one !== undefined && (!ids || ids.has(one)),
  )
  if (!id) return false
  const [integration] = await tx.integrations.match({ id }, 1)
  // One that was not written to its end says nothing of whose it is. Of an attempt that this database does not know,
  // after a restored backup for instance, nothing is settled.
  const over =
    shared.length === 0
      ? content !== undefined && !integration
      : content
        ? shared.every(({ state, code }) => state === 'applied' || code === 'superseded')
        : shared.every(({ state }) => state !== 'started')
  if (!over) return false
  await tx.record({
    action: 'token.recover',
    target: integration ? targetOf(integration) : { type: 'integration', id, name: null },
    fields: ['spool_removed'],
  })
  return true
}
