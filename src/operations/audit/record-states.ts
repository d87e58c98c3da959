import { stateRecorded } from '../../store/audit/log.ts'
import type { Store } from '../../store/store.ts'
import { auditOnly } from '../change.ts'
import { isOfApplication, recordedTypes } from './rows.ts'

/** How many rows one change records. */
const rowsAtOnce = 200

/**
 * Records the state of every row of which no event keeps it: those of an application that was adopted, and those that a
 * version before has changed last. From then on, `verifyAudit` tells when another program changes them. Receivers of the
 * version before go on accepting previous secrets.
 *
 * @throws what every change throws
 */
export async function recordStates(store: Store): Promise<void> {
  const { adopted } = store
  for (const type of recordedTypes(adopted)) {
    let after: string | undefined
    do {
      const page = await store.read((db) =>
        db.states.unrecorded(type, { adopted: adopted && isOfApplication(type), limit: rowsAtOnce, after }),
      )
      if (page.rows.length > 0)
        await store.mutate(async (tx) => {
          for (const { id, name } of page.rows) await tx.record({ action: stateRecorded, target: { type, id, name } })
        }, auditOnly)
      after = page.next
    } while (after !== undefined)
  }
}
