import type { Changes, Store } from '../store/store.ts'
import { targetOf } from './change.ts'
import { readSpool, removeSpooled, type Spooled } from './spool.ts'
import { inTurn } from './turns.ts'

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
    if (ids && !(file.content && ids.has(file.content.integration))) continue
    if (!(await inTurn(store, () => store.mutate((rows) => discard(rows, file))))) continue
    removeSpooled(folder, file.path)
    removed++
  }
  return removed
}

async function discard(rows: Changes, { attempt: id, content }: Spooled): Promise<boolean> {
  if (content && content.database !== rows.settings.id) return false
  const attempt = content ? await rows.refresh.of(content.integration) : await rows.refresh.byId(id)
  const [integration] = await rows.integrations.match({ id: content?.integration ?? attempt?.integrationId ?? '' }, 1)
  // One that was not written to its end says nothing of whose it is.
  if (!content && !attempt) return false
  // Of an attempt that this database does not know, after a restored backup for instance, nothing is settled.
  const own = attempt?.id === id ? attempt : undefined
  const over = !integration || own?.state === 'applied' || own?.code === 'superseded'
  const useless = !content && own?.state !== 'started'
  if (!over && !useless) return false
  await rows.record({
    action: 'token.recover',
    target: integration ? targetOf(integration) : { type: 'integration', id: content?.integration ?? '', name: null },
    fields: ['spool_removed'],
  })
  return true
}
