import { randomUUID } from 'node:crypto'
import { conflict } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { DryRun } from '../change.ts'
import { newIdAction } from './chain.ts'

/** The id of a database after a change, and before. */
export interface IdChange {
  readonly id: string
  readonly formerId: string
}

/**
 * Gives a copy that is to live on an id of its own, so that it passes for the original nowhere: not with checkpoints, not
 * with what machines remember of logs, not with tokens that a refresh of the original has left in a spool.
 *
 * @param options `spooled`: counts the files of the spool that hold tokens for the database of an id
 * @throws CONFLICT while there are such files: this database would not take their tokens any more
 */
export const giveNewId = (
  store: Store,
  { spooled, ...options }: DryRun & { readonly spooled: (id: string) => number },
): Promise<IdChange> =>
  store.mutate(async (tx) => {
    const formerId = tx.settings.id
    const files = spooled(formerId)
    if (files > 0)
      throw conflict(
        `the spool of this machine holds new tokens for the original and its copies: ${files}`,
        'integrations recover --all with the original as --database or DATABASE_URL; then try again',
      )
    const id = randomUUID()
    await tx.keys.setId(id, tx.now)
    tx.acceptLog()
    await tx.record({
      action: newIdAction,
      target: { type: 'database', id, name: null },
      fields: [`${formerId}>${id}`],
    })
    return { id, formerId }
  }, options)
