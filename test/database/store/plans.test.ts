import { describe, expect, test } from 'vitest'
import { acceptedSecretReader } from '../../../src/store/secrets/accepted.ts'
import { workspaceReader } from '../../../src/store/tables/workspaces.ts'
import { freshDatabase, type Kind, kinds, type TestDatabase } from '../../support/database.ts'
import { plansOf } from '../../support/plans.ts'

/** 20,000 integrations in 200 workspaces, a team each; two of three hold the same secret, the others one of their own. */
async function filled(kind: Kind): Promise<TestDatabase> {
  const db = await freshDatabase(kind)
  const numbers = (count: number) =>
    kind === 'sqlite'
      ? `(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count}) SELECT n FROM numbers)`
      : `generate_series(1, ${count}) AS numbers (n)`
  const text = 'CAST(n AS TEXT)'
  const now = "'2026-01-02 03:04:05'"
  const at = kind === 'sqlite' ? now : `CAST(${now} AS timestamp)`
  for (const statement of [
    `INSERT INTO workspaces (id, name, created_at, updated_at) SELECT 'w-' || ${text}, 'Workspace ' || ${text}, ${at}, ${at} FROM ${numbers(200)}`,
    `INSERT INTO users (id, email, created_at, updated_at) SELECT 'u-' || ${text}, ${text} || '@example.com', ${at}, ${at} FROM ${numbers(200)}`,
    `INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret, slack_team_id, created_at, created_by)
      SELECT 'i-' || ${text}, 'w-' || CAST(1 + n % 200 AS TEXT), 'slack', 'desk ' || CAST(n % 7000 AS TEXT), 'sealed', 'T' || ${text}, ${at}, 'u-' || CAST(1 + n % 200 AS TEXT) FROM ${numbers(20_000)}`,
    `INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, origin, set_at)
      SELECT 'i-' || ${text}, 'webhook_secret', 1, CASE WHEN n % 3 = 0 THEN 'print ' || ${text} ELSE 'print' END, 'key', 'provided', ${at} FROM ${numbers(20_000)}`,
    kind === 'sqlite' ? 'ANALYZE' : 'VACUUM ANALYZE',
  ])
    await db.query(statement)
  return db
}

describe.each(kinds)('on %s', (kind) => {
  test('integrations are counted in one pass, and secrets of a platform are found one by one', async () => {
    const db = await filled(kind)
    const shown = { limit: 10, descending: true } as const
    const counting = await plansOf(db, async (db, dialect) => {
      const { list, match } = workspaceReader(db, dialect)
      for await (const _ of list({}, { ...shown, sort: 'name' }));
      for await (const [first] of list({}, { ...shown, sort: 'integrations' }))
        expect(first).toMatchObject({ id: 'w-1', name: 'Workspace 1', integrations: 100 })
      expect(await match({ by: 'name', value: 'Workspace 7' }, 2)).toMatchObject([{ id: 'w-7', integrations: 100 }])
    })
    expect(counting.length).toBe(3)
    for (const plan of counting) expect(plan).not.toMatch(/CORRELATED|SubPlan/)
    const holders = await plansOf(db, async (db, dialect) => {
      const { holders } = acceptedSecretReader(db, dialect)
      expect((await holders('webhookSecret', 'slack', 101)).length).toBe(101)
      expect(await holders('webhookSecret', 'pylon', 101)).toEqual([])
    })
    for (const plan of holders) {
      expect(plan).toMatch(/integration_secrets_field_fingerprint_idx/)
      expect(plan).not.toMatch(/HashAggregate|GroupAggregate|GROUP BY/)
    }
  })
})
