import { expect, test } from 'vitest'
import { IntegrationsError } from '../../../src/errors.ts'
import { UsageRecorder } from '../../../src/receiver/usage.ts'
import type { Store } from '../../../src/store/store.ts'
import { integrationId } from '../../support/brands.ts'
import { kinds } from '../../support/database.ts'
import { add, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'

/** Without a report, which needs keys. */
const reporting = { limits: { remember: 5, stale: 300 }, keyring: () => Promise.reject(new Error('no keys')) }

test.each(kinds)('on %s, a match is counted once, however often it is tried to write it', async (kind) => {
  const { db, store } = await start(kind)
  const id = await add(store, 'support', signingSecret(1))
  for (const n of [2, 3, 4]) await rotate(store, id, signingSecret(n), 60_000)
  const failed: number[] = []
  const once = (number: number | null) => {
    if (number === null || failed.includes(number)) return false
    failed.push(number)
    return true
  }
  const failing: Store = {
    ...store,
    recordUsage: async (work) => {
      let after: Error | undefined
      await store.recordUsage((writer) =>
        work({
          ...writer,
          used: async (use) => {
            // Somebody holds the database: for a moment, or until the time is up.
            if (use.number === 2 && once(2)) throw Object.assign(new Error('held'), { code: 'SQLITE_BUSY' })
            if (use.number === 3 && once(3))
              throw new IntegrationsError({ code: 'DATABASE_BUSY', message: 'held until the time was up', hint: '' })
            await writer.used(use)
            // It was written, and nobody is told.
            if (use.number === 4 && once(4))
              after = new IntegrationsError({ code: 'DATABASE_UNREACHABLE', message: 'lost', hint: '' })
          },
        }),
      )
      if (after) throw after
    },
  }
  const problems: unknown[] = []
  const usage = new UsageRecorder({
    store: failing,
    onError: (error) => problems.push((error as { code: string }).code),
    ...reporting,
  })
  const at = new Date('2026-01-02T03:04:05.000Z')
  for (const number of [1, 2, 3, 4]) usage.record({ id: integrationId(id), number, count: 1, lastAt: at })
  await expect.poll(() => problems, { timeout: 10_000 }).toEqual(['DATABASE_BUSY'])
  // What is left waits for its minute, or for this.
  await usage.flush()
  expect(problems).toEqual(['DATABASE_BUSY', 'DATABASE_UNREACHABLE'])
  await usage.close()
  const rows = await db.query(
    'SELECT number, match_count, last_matched_at IS NOT NULL AS matched FROM integration_secrets ORDER BY number',
  )
  expect(rows.map(({ number, match_count, matched }) => [number, match_count, Boolean(matched)])).toEqual([
    [1, 1, true],
    [2, 1, true],
    [3, 1, true],
    [4, 1, true],
  ])
})

test('a write that the database does not answer is abandoned and told of, and the others go on', async () => {
  const { db, store } = await start('sqlite')
  const ids = [await add(store, 'a', signingSecret(1)), await add(store, 'b', signingSecret(2))]
  let silent = true
  let answer = () => {}
  const silence: Store = {
    ...store,
    recordUsage: async (work) => {
      if (silent) await new Promise<void>((resolve) => (answer = resolve))
      await store.recordUsage(work)
    },
  }
  const problems: unknown[] = []
  const usage = new UsageRecorder({
    store: silence,
    onError: (error) => problems.push((error as { code: string }).code),
    ...reporting,
    deadlineMs: 300,
  })
  const at = new Date('2026-01-02T03:04:05.000Z')
  const record = () => {
    for (const id of ids) usage.record({ id: integrationId(id), number: 1, count: 1, lastAt: at })
  }
  const counts = async () => {
    const rows = await db.query('SELECT match_count, last_matched_at FROM integration_secrets ORDER BY integration_id')
    const byId = [...ids].sort()
    return ids.map((id) => [rows[byId.indexOf(id)]?.match_count, rows[byId.indexOf(id)]?.last_matched_at !== null])
  }
  record()
  await usage.flush()
  // One silence is enough to know: the other waits for the next round.
  expect([problems, await counts()]).toEqual([
    ['DATABASE_UNREACHABLE'],
    [
      [0, false],
      [0, false],
    ],
  ])
  silent = false
  record()
  await usage.flush()
  // The abandoned write may still be done, so its match is not counted again.
  const written = [
    [1, true],
    [2, true],
  ]
  expect([problems, await counts()]).toEqual([['DATABASE_UNREACHABLE'], written])
  answer()
  await expect.poll(counts).toEqual([
    [2, true],
    [2, true],
  ])
  silent = true
  record()
  // Nor does the end wait for ever.
  await usage.close()
  expect(problems).toEqual(['DATABASE_UNREACHABLE', 'DATABASE_UNREACHABLE'])
})

test('a silent database has one write waiting for it, however long that takes, and none once the receiver is closed', async () => {
  const writes: (() => void)[] = []
  const silent = { recordUsage: () => new Promise<void>((resolve) => writes.push(resolve)) } as Partial<Store> as Store
  const problems: unknown[] = []
  const onError = (error: unknown) => problems.push((error as { code: string }).code)
  const usage = new UsageRecorder({ store: silent, onError, ...reporting })
  const lastAt = new Date('2026-01-02T03:04:05.000Z')
  const record = (name: string) => usage.record({ id: integrationId(name), number: 1, count: 1, lastAt })
  record('a')
  // Seconds pass, which look whether a write is due, and the application asks for writes.
  await expect.poll(() => writes.length, { timeout: 10_000 }).toBe(1)
  await Promise.all([usage.flush(3000), usage.flush(3000)])
  record('b')
  await usage.close(100)
  expect([problems, writes.length]).toEqual([Array(3).fill('DATABASE_UNREACHABLE'), 1])
  for (const answer of writes) answer()
  await usage.flush()
  expect(writes.length).toBe(1)
})

test.each(['DATABASE_READ_ONLY', 'NOT_PERMITTED', 'DATABASE_INVALID'] as const)(
  'matches are kept that %s keeps from being written',
  async (code) => {
    const written: unknown[] = []
    let failing = true
    const store = {
      recordUsage: async (work) => {
        if (failing) throw new IntegrationsError({ code, message: 'not now', hint: '' })
        const unused = async () => {}
        await work({ report: unused, withdraw: unused, used: async ({ id, count }) => void written.push([id, count]) })
      },
    } as Partial<Store> as Store
    const problems: unknown[] = []
    const usage = new UsageRecorder({ store, onError: (error) => problems.push(error), ...reporting })
    const ids = ['a', 'b'].map(integrationId)
    for (const id of ids) usage.record({ id, number: 1, count: 2, lastAt: new Date() })
    await usage.flush()
    // A database that can only be read is not asked again for each.
    expect(problems.length).toBe(code === 'DATABASE_READ_ONLY' ? 1 : 2)
    failing = false
    await usage.close()
    expect(written.sort()).toEqual(ids.map((id) => [id, 2]))
  },
)
