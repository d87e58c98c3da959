import { keyFor } from '../../src/crypto/key-set.ts'
import { type ReceiverReport, type SignedReport, signReport } from '../../src/store/activity/receivers.ts'
import type { TestDatabase } from './database.ts'
import { testKeys } from './keyring.ts'

/** An instant so long from now, as both databases take it. */
export const at = (distance: number) => new Date(Date.now() + distance).toISOString().replace('Z', '+00:00')

/** A report of a receiver with a MAC of the test keys. @param databaseId another than that of the database */
export async function signed(
  db: TestDatabase,
  { id, ...report }: ReceiverReport & { readonly id: string },
  databaseId?: string,
): Promise<SignedReport> {
  const auditKey = keyFor(testKeys(), 'audit')
  if (!auditKey) throw new Error('the test keys have no audit key')
  const [row] = await db.query("SELECT value FROM integration_settings WHERE key = 'id'")
  return signReport({ auditKey }, { id, databaseId: databaseId ?? String(row?.value), ...report })
}

/** Puts a report into a database, in the place of the receiver's last. */
export async function put(db: TestDatabase, { id, report, mac }: SignedReport): Promise<void> {
  await db.query('DELETE FROM integration_receivers WHERE id = ?', id)
  await db.query(
    'INSERT INTO integration_receivers (id, report, mac, updated_at) VALUES (?, ?, ?, ?)',
    id,
    report,
    mac,
    at(0),
  )
}
