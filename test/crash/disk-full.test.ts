import { expect, test } from 'vitest'
import { contents, freshDatabase, type TestDatabase } from '../support/database.ts'
import { expectInvariants } from '../support/invariants.ts'
import { bin, type Outcome, runCommand } from '../support/program.ts'
import { changingCommands, populate, type Sample } from '../support/sample-commands.ts'

/** Sizes, in blocks of 512 bytes, at which every file ends: within the write-ahead log of any change, and after it. */
const limits = [1, 40, 80] as const

const samples = changingCommands.filter(({ answers }) => answers === undefined)

test('a disk that is full at any write leaves a change undone and says so, or does not lose it', async () => {
  const db = await freshDatabase('sqlite')
  await populate(db)
  const ended = { full: 0, whole: 0 }
  for (const sample of samples) {
    let outcome: Outcome | undefined
    for (const limit of limits) {
      const before = await contents(db)
      outcome = await runWithLimit(sample, db, limit)
      await expectInvariants(db)
      if (outcome.code !== 6) break
      ended.full++
      expect([sample.args, limit, outcome]).toEqual([sample.args, limit, { code: 6, stdout: '', stderr: full(db) }])
      expect(await contents(db)).toEqual(before)
    }
    if (outcome?.code === 6) outcome = await runWithLimit(sample, db, 'unlimited')
    expect([sample.args, outcome]).toEqual([sample.args, expect.objectContaining({ code: 0 })])
    ended.whole++
  }
  expect(ended).toEqual({ full: expect.any(Number), whole: samples.length })
  expect(ended.full).toBeGreaterThan(samples.length)
})

const full = (db: TestDatabase) => `error: ${db.url} could not be written\nhint: make room on the disk and try again\n`

/** A file that has reached the limit refuses to grow, as it would on a disk without room. */
const runWithLimit = ({ args, env, input }: Sample, db: TestDatabase, limit: number | 'unlimited') =>
  runCommand('sh', ['-c', `ulimit -f ${limit}; exec "$@"`, 'sh', process.execPath, bin, ...args], {
    env: { ...env, DATABASE_URL: db.url },
    ...(input === undefined ? {} : { input }),
  })
