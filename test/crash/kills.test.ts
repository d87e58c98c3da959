import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { amount, seed } from '../support/crash-amounts.ts'
import { contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { expectInvariants } from '../support/invariants.ts'
import { bin, environment, runProgram } from '../support/program.ts'
import { changingCommands, populate, type Sample } from '../support/sample-commands.ts'

const rounds = amount(1, 10)

/** Those that ask nothing, because a terminal is not needed for what is tried here. */
const samples = changingCommands.filter(({ answers }) => answers === undefined)

/** When a command is killed, as a part of the time that it takes: most of that goes before it changes anything. */
const moments = fc.sample(fc.double({ min: 0.5, max: 1.02, noNaN: true }), {
  seed,
  numRuns: samples.length * rounds * 2,
})

describe.each(kinds)('on %s', (kind) => {
  test('every command that changes something, killed at any moment, has done all of it or nothing', async () => {
    const killed = { before: 0, after: 0 }
    for (let round = 0; round < rounds; round++) {
      const undisturbed = await freshDatabase(kind)
      const db = await freshDatabase(kind)
      await populate(undisturbed)
      await populate(db)
      for (const sample of samples) {
        const from = await actions(undisturbed)
        const startedAt = performance.now()
        const whole = await run(sample, undisturbed)
        const took = performance.now() - startedAt
        const expected = (await actions(undisturbed)).slice(from.length)

        const before = await contents(db)
        const known = await actions(db)
        const ended = await killAfter(sample, db, took * (moments.pop() ?? 0))
        const done = (await actions(db)).slice(known.length)
        // Re-encryption commits a part after the other.
        if (sample.command === 'keys reencrypt') expect(expected.slice(0, done.length)).toEqual(done)
        else if (done.length > 0) expect([sample.args, done]).toEqual([sample.args, expected])
        if (done.length === 0) expect(await contents(db)).toEqual(before)
        if (!ended) killed[done.length === 0 ? 'before' : 'after']++
        await expectInvariants(db)

        if (ended || (done.length > 0 && done.length === expected.length)) continue
        const again = await run(sample, db)
        expect([sample.args, again.code, again.stderr]).toEqual([sample.args, whole.code, again.stderr])
        expect([sample.args, (await actions(db)).slice(known.length)]).toEqual([sample.args, expected])
      }
      expect(await actions(db)).toEqual(await actions(undisturbed))
    }
    console.info(`${kind}: killed`, killed)
    expect(killed.before).toBeGreaterThan(0)
  })
})

const run = ({ args, env, input }: Sample, db: TestDatabase) =>
  runProgram(args, { env: { ...env, DATABASE_URL: db.url }, ...(input === undefined ? {} : { input }) })

/** @returns whether the command ended by itself before that */
async function killAfter({ args, env, input = '' }: Sample, db: TestDatabase, milliseconds: number): Promise<boolean> {
  const child = spawn(process.execPath, [bin, ...args], {
    env: environment({ ...env, DATABASE_URL: db.url }),
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const ended = new Promise<boolean>((done) => child.on('close', (code) => done(code !== null)))
  await Promise.race([sleep(milliseconds), ended])
  child.kill('SIGKILL')
  return ended
}

/** What the log tells of, in order. */
const actions = async (db: TestDatabase): Promise<string[]> =>
  (await db.query('SELECT action, fields FROM integration_events ORDER BY seq')).map(
    ({ action, fields }) => `${action} ${fields}`,
  )
