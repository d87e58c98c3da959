import { expect, test } from 'vitest'
import { holderReader } from '../../../src/store/secrets/holders.ts'
import { addMany, freshDatabase, kinds } from '../../support/database.ts'
import { plansOf } from '../../support/plans.ts'

test.each(kinds)('on %s, holders on a platform are found among many secrets of another one', async (kind) => {
  const db = await freshDatabase(kind)
  await addMany(db, 18_000)
  // 6,000 with a secret of their own, 6,000 that share one, and 6,000 without any.
  await db.query(`INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, origin, set_at)
    SELECT id, 'webhook_secret', 1, CASE WHEN id <= 'many-06000' THEN 'own ' || id WHEN id <= 'many-12000' THEN 'shared' END, 'key', 'provided', created_at FROM integrations`)
  await db.query(
    "UPDATE integrations SET platform = 'github' WHERE id IN ('many-00003', 'many-05999', 'many-11999', 'many-12000', 'many-17999')",
  )
  let found: string[] = []
  const plans = await plansOf(db, async (db, dialect) => {
    found = await holderReader(db, dialect).holders('webhookSecret', 'github', 101)
  })
  expect(found.map((id) => id.slice(5)).sort()).toEqual(['00003', '05999', '11999', '17999'])
  // SQLite reads on the event loop: 5,000 rows at a time.
  const walks = plans.filter((plan) => /field_fingerprint_idx/.test(plan))
  if (kind === 'sqlite') expect(walks.length).toBe(10)
  expect(
    await plansOf(db, async (db, dialect) => {
      found = await holderReader(db, dialect).holders('webhookSecret', 'slack', 3)
    }),
  ).toHaveLength(kind === 'sqlite' ? 2 : 1)
  expect(new Set(found).size).toBe(3)
})
