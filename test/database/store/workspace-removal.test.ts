import { describe, expect, test } from 'vitest'
import { removeWorkspace, type WorkspaceRemoval } from '../../../src/operations/directory/workspaces.ts'
import type { Store } from '../../../src/store/store.ts'
import { kinds, type TestDatabase } from '../../support/database.ts'
import { add, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { seedIntegrations } from '../../support/seed.ts'

const how = { dryRun: false, progress: () => {}, stops: () => false } satisfies WorkspaceRemoval

const left = async (db: TestDatabase): Promise<unknown[]> => {
  const [row] =
    await db.query(`SELECT (SELECT count(*) FROM integrations) AS integrations, (SELECT count(*) FROM integration_secrets) AS secrets,
    (SELECT count(*) FROM workspaces) AS workspaces, (SELECT count(DISTINCT target_id) FROM integration_events WHERE action = 'integration.remove') AS removals,
    (SELECT count(*) FROM integration_events WHERE action = 'workspace.remove') AS ends, (SELECT count(DISTINCT request_id) FROM integration_events WHERE action LIKE '%.remove') AS changes`)
  return Object.values(row ?? {}).map(Number)
}

/** A workspace Acme with so many integrations. */
async function startWith(kind: (typeof kinds)[number], count: number) {
  const { db, store } = await start(kind)
  await add(store, 'n00000', signingSecret(1))
  await seedIntegrations(db, count)
  return { db, store }
}

/** Does something after the first transaction. */
function afterFirst(store: Store, work: () => Promise<unknown>): Store {
  let isFirst = true
  return {
    ...store,
    mutate: async (...args) => {
      const result = await store.mutate(...args)
      if (isFirst) await work()
      isFirst = false
      return result
    },
  }
}

describe.each(kinds)('on %s', (kind) => {
  test('500 integrations and their workspace are removed in one transaction, and by a dry run not at all', async () => {
    const { db, store } = await startWith(kind, 500)
    expect(await removeWorkspace(store, 'Acme', { ...how, dryRun: true })).toMatchObject({ integrations: 500 })
    expect(await left(db)).toEqual([500, 500, 1, 0, 0, 0])
    expect(await removeWorkspace(store, 'Acme', how)).toMatchObject({ name: 'Acme', integrations: 500 })
    expect(await left(db)).toEqual([0, 0, 0, 500, 1, 1])
  })

  test('a removal of many that is stopped between transactions is ended by the next', async () => {
    const { db, store } = await startWith(kind, 1200)
    const seen: number[][] = []
    const removal = removeWorkspace(store, 'Acme', {
      ...how,
      integrations: 1200,
      progress: (...done) => void seen.push(done),
      stops: () => true,
    })
    await expect(removal).rejects.toMatchObject({
      code: 'CANCELLED',
      message: 'stopped by a signal; 500 of 1200 integrations of Acme are removed',
      hint: 'to remove the rest, run integrations workspaces remove Acme',
      committed: true,
    })
    expect([seen, await left(db)]).toEqual([[[500, 1200]], [700, 700, 1, 500, 0, 1]])
    expect(await removeWorkspace(store, 'Acme', { ...how, integrations: 700 })).toMatchObject({ integrations: 700 })
    expect((await left(db)).slice(0, 5)).toEqual([0, 0, 0, 1200, 1])
  })

  test('a lease on any of many keeps all from being removed, and one that is begun meanwhile those that are left', async () => {
    const { db, store } = await startWith(kind, 1200)
    const last = async () => String((await db.query("SELECT id FROM integrations WHERE name = 'n01199'"))[0]?.id)
    const lease = async () => {
      const until = new Date(Date.now() + 60_000).toISOString().replace('Z', kind === 'sqlite' ? '+00:00' : '')
      await db.query(
        `INSERT INTO integration_refresh_attempts (integration_id, id, fence, state, owner, old_fingerprint, started_at, lease_until)
        VALUES ('${await last()}', 'attempt', 1, 'started', 'somebody', 'print', '${until}', '${until}')`,
      )
    }
    await lease()
    const refused = { code: 'LEASE_HELD', hint: 'try again after the lease', committed: false }
    await expect(removeWorkspace(store, 'Acme', how)).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(/^somebody is refreshing the token of Acme\/n01199, until \S+ at most$/),
    })
    expect(await left(db)).toEqual([1200, 1200, 1, 0, 0, 0])
    await db.query('DELETE FROM integration_refresh_attempts')
    await expect(removeWorkspace(afterFirst(store, lease), 'Acme', how)).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(/at most; \d+ of 1200 integrations of Acme are removed$/),
      committed: true,
    })
    const [integrations, , workspaces, removals] = await left(db)
    expect([Number(integrations) + Number(removals), workspaces, await last()]).toEqual([1200, 1, expect.any(String)])
  })

  test('an integration that is added meanwhile is removed, or not when the person was shown how many there are', async () => {
    for (const integrations of [600, undefined]) {
      const { db, store } = await startWith(kind, 600)
      const removal = removeWorkspace(
        afterFirst(store, () => add(store, 'late', signingSecret(2))),
        'Acme',
        { ...how, integrations },
      )
      if (integrations === undefined) {
        await removal
        expect((await left(db)).slice(0, 5)).toEqual([0, 0, 0, 601, 1])
      } else {
        await expect(removal).rejects.toMatchObject({
          code: 'CONFLICT',
          message: 'Acme now has 101 integrations, not 100; 500 of 600 integrations of Acme are removed',
          committed: true,
        })
        expect((await left(db)).slice(0, 5)).toEqual([101, 101, 1, 500, 0])
      }
    }
  })
})
