import { keyFor } from '../../src/crypto/key-set.ts'
import { type ReceiverReport, signReport } from '../../src/store/tables/receivers.ts'
import type { TestDatabase } from './database.ts'
import { testKeys } from './keyring.ts'

/** An instant so long from now, as both databases take it. */
export const at = (distance: number) => new Date(Date.now() + distance).toISOString().replace('Z', '+00:00')

/** Puts a report into a database, in the place of the receiver's last, with a MAC of the test keys. */
export async function putReport(
  db: TestDatabase,
  { id = crypto.randomUUID(), ...report }: ReceiverReport & { id?: string },
): Promise<void> {
  const auditKey = keyFor(testKeys(), 'audit')
  const [row] = await db.query("SELECT value FROM integration_settings WHERE key = 'id'")
  if (!auditKey) throw new Error('the test keys have no audit key')
  const signed = signReport({ auditKey }, { id, databaseId: String(row?.value), ...report })
  await db.query('DELETE FROM integration_receivers WHERE id = ?', id)
  await db.query(
    'INSERT INTO integration_receivers (id, report, mac, updated_at) VALUES (?, ?, ?, ?)',
    id,
    signed.report,
    signed.mac,
    at(0),
  )
}
