import fc from 'fast-check'
import { expect, type TestContext, test } from 'vitest'
import { amount, seed } from '../support/crash-amounts.ts'
import { contents, dropOwnTables, emptyPostgresql, freshDatabase, type TestDatabase } from '../support/database.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { runInProcess } from '../support/in-process.ts'
import { expectInvariants } from '../support/invariants.ts'
import { changingCommands, populate } from '../support/sample-commands.ts'

/** Runs a command on a network that is cut at the message of a number. @returns its error, and whether there was such a message */
async function cutAt(
  at: number,
  db: TestDatabase,
  { args, ...options }: { args: readonly string[]; env?: Record<string, string>; input?: string },
  context: TestContext,
): Promise<{
  readonly error?: { readonly code: string; readonly committed: boolean | null }
  readonly reached: boolean
}> {
  const proxy = await startFaultProxy(db.url, context)
  proxy.failAt(at, 'cut')
  const env = { ...options.env, DATABASE_URL: proxy.url }
  const { code, stderr } = await runInProcess([...args, '-o', 'json'], { ...options, env })
  const reached = proxy.seen() > 0
  return code === 0 ? { reached } : { error: JSON.parse(stderr.trim().split('\n').at(-1) ?? '').error, reached }
}

const errors = ['DATABASE_UNREACHABLE', 'COMMIT_UNKNOWN']

const tables = async (db: TestDatabase) => Object.keys(await contents(db))

/** A database with the application's tables alone. @param history what to do with the history of migrations */
async function applicationAlone(history: string): Promise<TestDatabase> {
  const db = await freshDatabase('postgresql')
  await dropOwnTables(db)
  await db.query(history)
  return db
}

test.for([
  ['init', () => emptyPostgresql()],
  [
    'db migrate',
    () =>
      applicationAlone(
        'DELETE FROM _prisma_migrations WHERE migration_name <> (SELECT min(migration_name) FROM _prisma_migrations)',
      ),
  ],
  ['db adopt', () => applicationAlone('DROP TABLE _prisma_migrations')],
] as [string, () => Promise<TestDatabase>][])(
  '%s on a network that is cut at any message does all or nothing, and says why',
  async ([args, make], context) => {
    let db = await make()
    const [before, whole] = [await tables(db), await tables(await freshDatabase('postgresql'))]
    const steps = amount(5, 1)
    for (let at = 1 + (seed % steps); ; at += steps) {
      const { error, reached } = await cutAt(at, db, { args: args.split(' ') }, context)
      const now = await tables(db)
      expect([at, [before, whole]]).toEqual([at, expect.arrayContaining([now])])
      if (error === undefined) expect([at, now]).toEqual([at, whole])
      else expect([at, errors]).toEqual([at, expect.arrayContaining([error.code])])
      if (!reached) break
      if (now.length === whole.length) db = await make()
    }
  },
)

test('every command that changes something, on a network that is cut at any message, does all or nothing', async (context) => {
  const samples = changingCommands.filter(({ answers }) => answers === undefined)
  const places = fc.sample(fc.integer({ min: 1, max: 25 }), { seed, numRuns: samples.length * amount(1, 20) })
  const db = await freshDatabase('postgresql')
  await populate(db)
  for (const [place, at] of places.entries()) {
    const sample = samples[place % samples.length]
    if (!sample) continue
    const before = await contents(db)
    const { error } = await cutAt(at, db, sample, context)
    expect([sample.args, at, error]).not.toEqual([sample.args, at, expect.objectContaining({ code: 'BUG' })])
    // What reached the server is done; the cut is before that.
    const after = await contents(db)
    // What asks somebody else has recorded before that it will, in a change of its own.
    const known = new Set(before.integration_events)
    const hasStarted = after.integration_events?.some(
      (event) => !known.has(event) && String(event).includes('"outcome":"started"'),
    )
    if (error && !error.committed && !hasStarted) expect([sample.args, at, after]).toEqual([sample.args, at, before])
    await expectInvariants(db)
  }
})
