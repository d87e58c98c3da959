import { stateRecorded } from '../../store/audit/log.ts'
import type { Store } from '../../store/store.ts'
import { auditOnly } from '../change.ts'
import { recordedTypes } from './rows.ts'

/** How many rows one change records. */
const rowsAtOnce = 200

/**
 * Records the state of every row of which no event keeps it: those of an application that was adopted, and those that a
 * version before has changed last. From then on, `verifyAudit` tells when another program changes them. Receivers of the
 * version before go on accepting previous secrets.
 *
 * @returns how many
 * @throws what every change throws
 */
export async function recordStates(store: Store): Promise<number> {
  let recorded = 0
  for (const type of recordedTypes(store.adopted))
    for (let after: string | undefined; ; ) {
      const rows = await store.read((db) =>
        db.states.unrecorded(type, { adopted: store.adopted, limit: rowsAtOnce, after }),
      )
      if (rows.length === 0) break
      await store.mutate(async (tx) => {
        for (const { id, name } of rows) await tx.record({ action: stateRecorded, target: { type, id, name } })
      }, auditOnly)
      recorded += rows.length
      after = rows.at(-1)?.id
    }
  return recorded
}
