import { expect, test } from 'vitest'
import type { LookupKey } from '../../../src/receiver/lookup/keys.ts'
import { SecretReader } from '../../../src/receiver/lookup/secrets.ts'
import { warmUp } from '../../../src/receiver/lookup/warm-up.ts'
import type { Store } from '../../../src/store/store.ts'
import { kinds, type TestDatabase } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'
import { add, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'

/** Adds integrations without secrets, which were used on a day; `team` is an expression of their number `n`. */
const addUsed = (db: TestDatabase, count: number, team: string, day: string, config = 'NULL') =>
  db.query(`INSERT INTO integrations (id, workspace_id, platform, name, slack_team_id, config, last_used_at)
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
    SELECT ${team} || '-' || n, i.workspace_id, 'slack', ${team} || '-' || n, ${team}, ${config},
      ${db.kind === 'sqlite' ? `'${day}T00:00:00.000+00:00'` : `timestamp '${day}'`}
    FROM numbers, integrations i WHERE i.name = 'support'`)

test.each(kinds)('on %s, the 1,000 integrations that were used last are looked up, by few readings', async (kind) => {
  const { db, store } = await start(kind)
  await add(store, 'support', signingSecret(1))
  await add(store, 'unused', signingSecret(2), { team: 'T999AB3CD' })
  await addUsed(db, 1, "'T012AB3CD'", '2026-11-03')
  await addUsed(db, 120, "'T' || n", '2026-11-02')
  // More than a lookup finds, or is warmed up.
  await addUsed(db, 1001, "'LARGE'", '2026-11-01')
  await addUsed(db, 1, "'LATE'", '2025-11-01')
  const errors: unknown[] = []
  let reads = 0
  const counted: Store = {
    ...store,
    read: (work) => {
      reads++
      return store.read(work)
    },
  }
  const { keys } = storeOptions(db)
  const secrets = new SecretReader({ store: counted, keys, onError: (error) => errors.push(error) })
  await secrets.keyring()
  reads = 0
  const kept = new Map<string, unknown>()
  const keep = (key: LookupKey, { entries, keyMissing }: { entries: readonly unknown[]; keyMissing: boolean }) =>
    void kept.set(key.kind === 'match' && key.match.by === 'column' ? key.match.value : '', [
      entries.length,
      keyMissing,
    ])
  await warmUp({ store: counted, secrets, cache: { keep } }, new AbortController().signal)
  expect([[...kept.entries()].sort(), reads]).toEqual([
    [['T012AB3CD', [2, false]], ...Array.from({ length: 120 }, (_, i) => [`T${i + 1}`, [1, false]])].sort(),
    // One for the names, three for fifty names each, and ten to find out that one of them has too many.
    14,
  ])
  await expect(warmUp({ store: counted, secrets, cache: { keep } }, AbortSignal.abort())).rejects.toMatchObject({
    name: 'AbortError',
  })
  expect([reads, errors]).toEqual([14, []])
})

test.each(kinds)('on %s, a team is looked up whose configs are too long to be read at once', async (kind) => {
  const { db, store } = await start(kind)
  await add(store, 'support', signingSecret(1))
  const config =
    kind === 'sqlite'
      ? `'{"note":"' || hex(zeroblob(125000)) || '"}'`
      : `('{"note":"' || repeat('x', 250000) || '"}')::jsonb`
  await addUsed(db, 40, "'LONG'", '2026-11-02', config)
  await addUsed(db, 1, "'T012AB3CD'", '2026-11-03')
  const secrets = new SecretReader({ store, keys: storeOptions(db).keys, onError: () => {} })
  const kept: unknown[] = []
  const keep = (key: LookupKey, { entries }: { entries: readonly unknown[] }) =>
    void kept.push([key.kind === 'match' && key.match.by === 'column' && key.match.value, entries.length])
  await warmUp({ store, secrets, cache: { keep } }, new AbortController().signal)
  expect(kept).toEqual([
    ['T012AB3CD', 2],
    ['LONG', 40],
  ])
})
