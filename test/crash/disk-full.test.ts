import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { amount, seed } from '../support/crash-amounts.ts'
import { contents, type TestDatabase } from '../support/database.ts'
import { expectInvariants } from '../support/invariants.ts'
import { bin, type Outcome, runCommand } from '../support/program.ts'
import { changingCommands, filledDatabase, type Sample } from '../support/sample-commands.ts'

/** Sizes, in blocks of 512 bytes, at which every file ends: within the write-ahead log of any change, and after it. */
const limits = [1, 40, 80] as const

// What a platform has done cannot be undone: that its answer could not be recorded is exit code 9, in test/e2e/revoke.test.ts.
const samples = changingCommands.filter(({ answers, command }) => answers === undefined && command !== 'secrets revoke')

test('a disk that is full at any write leaves a change undone and says so, or does not lose it', async () => {
  const db = await filledDatabase('sqlite')
  const ended = { full: 0, whole: 0 }
  for (const sample of samples) {
    let outcome: Outcome | undefined
    // By default, each command meets one of them, and the next time perhaps another.
    for (const limit of amount(1, limits.length) > 1
      ? limits
      : [limits[(samples.indexOf(sample) + seed) % limits.length] ?? 1]) {
      const before = await contents(db)
      outcome = await runUnder(limited(limit), sample, db)
      await expectInvariants(db)
      if (outcome.code !== 6) break
      ended.full++
      expect([sample.args, limit, outcome]).toEqual([sample.args, limit, { code: 6, stdout: '', stderr: failing(db) }])
      expectUndone([sample.args, limit], before, await contents(db))
    }
    if (outcome?.code === 6) outcome = await runUnder(limited('unlimited'), sample, db)
    expect([sample.args, outcome]).toEqual([sample.args, expect.objectContaining({ code: 0 })])
    ended.whole++
  }
  expect(ended).toEqual({ full: expect.any(Number), whole: samples.length })
  expect(ended.full).toBeGreaterThan(amount(samples.length / 4, samples.length))
}, 1_800_000)

const isTraceable = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0

const writes = 'pwrite64,ftruncate,fsync,fdatasync'

/** What a disk answers instead of writing, from which of the writes of a command on, and whether it goes on so. */
const broken = fc.record({
  error: fc.constantFrom('EIO', 'EROFS', 'ENOSPC'),
  at: fc.integer({ min: 1, max: 40 }),
  stays: fc.boolean(),
})

test.skipIf(!isTraceable && !process.env.CI)(
  'a disk that fails or turns read-only at any write leaves a change undone and says so, or does not lose it',
  async () => {
    const ways = fc.sample(broken, { seed, numRuns: samples.length * amount(1, 10) })
    let failed = 0
    for (let db = await filledDatabase('sqlite'); ; db = await filledDatabase('sqlite')) {
      const file = db.url.slice('file:'.length)
      const places = [file, `${file}-wal`, `${file}-shm`].flatMap((path) => ['-P', path])
      for (const [i, { error, at, stays }] of ways.splice(0, samples.length).entries()) {
        const sample = samples[i] as Sample
        const fault = `inject=${writes}:error=${error}:when=${at}${stays ? '+' : ''}`
        const tracing = [
          '-f',
          '-qq',
          '-o',
          '/dev/null',
          '--seccomp-bpf',
          ...places,
          '-e',
          `trace=${writes}`,
          '-e',
          fault,
        ]
        const what = [sample.args, error, at, stays]
        const before = await contents(db)
        let outcome = await runUnder(['strace', ...tracing], sample, db)
        await expectInvariants(db)
        if (outcome.code === 6) {
          failed++
          // A disk without room refuses more than writes, for which SQLite has the code of a disk that fails.
          const stderr = error === 'ENOSPC' && outcome.stderr === full(db) ? full(db) : failing(db)
          expect([what, outcome]).toEqual([what, { code: 6, stdout: '', stderr }])
          expectUndone(what, before, await contents(db))
          outcome = await runUnder(limited('unlimited'), sample, db)
        }
        expect([what, outcome]).toEqual([what, expect.objectContaining({ code: 0 })])
      }
      if (ways.length === 0) break
    }
    expect(failed).toBeGreaterThan(samples.length / 5)
  },
  1_800_000,
)

type Contents = Awaited<ReturnType<typeof contents>>

/** Nothing is left of a change that failed, but that a platform was about to be asked, which is recorded first. */
function expectUndone(what: unknown, before: Contents, after: Contents) {
  const { integration_events: was = [], integration_settings: _, ...rest } = before
  const { integration_events: is = [], integration_settings: __, ...now } = after
  const added = is.filter((event) => !was.includes(event))
  if (added.length === 0) expect([what, after]).toEqual([what, before])
  else expect([what, now, added]).toEqual([what, rest, [expect.stringContaining('"outcome":"started"')]])
}

const full = (db: TestDatabase) =>
  `error: ${db.url} could not be written: the disk is full\nhint: make room on the disk and try again\n`
const failing = (db: TestDatabase) =>
  `error: ${db.url} could not be written: the disk failed, or a limit is reached
hint: look for errors of the disk with dmesg, and for limits with ulimit -f and quota\n`

/** A file that has reached the limit refuses to grow, as it would on a disk without room. */
const limited = (limit: number | 'unlimited') => ['sh', '-c', `ulimit -f ${limit}; exec "$@"`, 'sh']

/** @param under a command that runs the one which follows it */
const runUnder = ([command = '', ...under]: readonly string[], { args, env, input }: Sample, db: TestDatabase) =>
  runCommand(command, [...under, process.execPath, bin, ...args], {
    env: { ...env, DATABASE_URL: db.url },
    ...(input === undefined ? {} : { input }),
  })
