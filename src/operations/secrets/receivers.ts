/** What receivers have said of themselves. @module */
import type { KeySource } from '../../crypto/key-source.ts'
import { openKeyring } from '../../crypto/keyring.ts'
import type { ReceiverLimits } from '../../store/activity/receivers.ts'
import type { Store } from '../../store/store.ts'

/** The receivers that have reported lately. */
export interface KnownReceivers {
  /** Whether there is any. */
  readonly any: boolean
  /** Whether there is a report that no receiver of this database has made. */
  readonly forged: boolean
  /** With which limits. */
  readonly limits: readonly ReceiverLimits[]
}

/** How long ago a receiver that counts may have reported, in milliseconds. It may be cut off since. */
const countedMs = 86_400_000

/** The receivers that have reported within a day. @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG */
export async function knownReceivers(store: Store, source: KeySource): Promise<KnownReceivers> {
  const database = await store.read((db) => db.keys.known())
  const keyring = openKeyring(await source.load(database), database.keys, source.name)
  return store.read(async (db) => {
    const now = await db.clock()
    const reports = await db.receivers.reports(keyring, database.id)
    const signed = reports.flatMap((report) => (report ? [{ at: report.at, limits: report }] : []))
    const counted = [...signed, ...(await db.receivers.unsigned())].filter(
      ({ at }) => now.getTime() - Date.parse(at) < countedMs,
    )
    return {
      any: counted.length > 0,
      forged: signed.length < reports.length,
      limits: counted.flatMap(({ limits }) => limits ?? []),
    }
  })
}
