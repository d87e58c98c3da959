import { serialize } from '../../concurrency.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { targetOf } from '../change.ts'
import { readSpool, removeSpooled, type Spooled } from './spool.ts'

/** How long reserved room may be of use: no refresh takes a day. */
const roomKeptMs = 86_400_000

/**
 * Removes and records files of the spool whose tokens are in the database, or useless; files of other databases stay. Old room without
 * tokens goes unrecorded, whichever database it was reserved for.
 *
 * @param ids the integrations whose files may be removed; undefined: all, and those that were removed
 * @returns the number of removed files
 */
export async function removeLeftovers(store: Store, folder: string, ids?: ReadonlySet<string>): Promise<number> {
  let removed = 0
  for (const file of readSpool(folder)) {
    const isOldRoom = file.reservedAtMs !== undefined && Date.now() - file.reservedAtMs > roomKeptMs
    if (!isOldRoom && !(await serialize(store, () => store.mutate((tx) => recordRemoval(tx, file, ids))))) continue
    removeSpooled(folder, file.path)
    removed++
  }
  return removed
}

/** Records the removal of a file. @returns whether the file is to be removed */
async function recordRemoval(
  tx: Transaction,
  { attempt, content }: Spooled,
  ids?: ReadonlySet<string>,
): Promise<boolean> {
  if (content && content.database !== tx.settings.id) return false
  const shared = await tx.refresh.shared(attempt)
  const [id = ''] = [content?.integration, ...shared.map(({ integrationId }) => integrationId)].filter(
    (one) => one !== undefined && (!ids || ids.has(one)),
  )
  if (!id) return false
  const [integration] = await tx.integrations.match({ by: 'id', value: id }, 1)
  // An incomplete file does not name its integration. After a restore, the database may not know an attempt whose tokens
  // it needs.
  const useless =
    shared.length === 0
      ? content !== undefined && !integration
      : content
        ? shared.every(({ state, code }) => state === 'applied' || code === 'superseded')
        : shared.every(({ state }) => state !== 'started')
  if (!useless) return false
  await tx.record({
    action: 'token.recover',
    target: integration ? targetOf(integration) : { type: 'integration', id, name: null },
    fields: ['spool_removed'],
  })
  return true
}
