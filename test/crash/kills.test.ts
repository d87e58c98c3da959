import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { amount, seed } from '../support/crash-amounts.ts'
import { contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { buildWithFailpoints } from '../support/failpoints.ts'
import { expectInvariants } from '../support/invariants.ts'
import { environment, freshFolder } from '../support/program.ts'
import { changingCommands, populate, type Sample } from '../support/sample-commands.ts'

const rounds = amount(1, 10)

/** Those that ask nothing, because a terminal is not needed for what is tried here. */
const samples = changingCommands.filter(({ answers }) => answers === undefined)

/** A random part of what is counted or timed, for each kill. */
const parts = fc.sample(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), {
  seed,
  numRuns: samples.length * rounds * 4,
})

let main = ''

beforeAll(async () => {
  main = await buildWithFailpoints()
})

/** How a command ended. */
interface Ending {
  /** Null for one that was killed. */
  readonly code: number | null
  readonly stderr: string
  /** The places in its changes that it came to, in order. */
  readonly steps: readonly string[]
}

describe.each(kinds)('on %s', (kind) => {
  test('every command that changes something, killed at any step and at any moment, has done all of it or nothing', async () => {
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
        const known = await actions(db)
        const done = async () => (await actions(db)).slice(known.length)

        const step = 1 + Math.floor((parts.pop() ?? 0) * whole.steps.length)
        // The start takes most of the time, and changes nothing.
        const moment = took * (0.5 + 0.5 * (parts.pop() ?? 0))
        for (const kill of [{ step }, { moment }]) {
          const before = await contents(db)
          const so = await done()
          if (so.length === expected.length && expected.length > 0) break
          const { code, steps } = await run(sample, db, kill)
          const now = await done()
          const place = [sample.args, kill, steps]
          // Re-encryption commits a part after the other.
          if (sample.command === 'keys reencrypt') expect([place, expected.slice(0, now.length)]).toEqual([place, now])
          else if (now.length > 0) expect([place, now]).toEqual([place, expected])
          if (now.length === so.length) expect([place, await contents(db)]).toEqual([place, before])
          if (code === null) killed[now.length === 0 ? 'before' : 'after']++
          else break
          await expectInvariants(db)
        }

        if ((await done()).length < expected.length) {
          const again = await run(sample, db)
          expect([sample.args, again.code, again.stderr]).toEqual([sample.args, whole.code, again.stderr])
        }
        expect([sample.args, await done()]).toEqual([sample.args, expected])
      }
      expect(await actions(db)).toEqual(await actions(undisturbed))
    }
    console.info(`${kind}: killed`, killed)
    expect(Math.min(killed.before, killed.after)).toBeGreaterThan(0)
  })
})

/** @param kill at which of its steps, from 1 on, or after how many milliseconds, the command is killed */
async function run(
  { args, env, input = '' }: Sample,
  db: TestDatabase,
  kill: { readonly step?: number; readonly moment?: number } = {},
): Promise<Ending> {
  const log = join(freshFolder(), 'steps')
  writeFileSync(log, '')
  const failpoints = { FAILPOINT_LOG: log, FAILPOINT_AT: String(kill.step ?? '') }
  const child = spawn(
    process.execPath,
    ['-e', 'require(process.argv[1]).main(process).then((code) => { process.exitCode = code })', main, ...args],
    { env: environment({ ...env, DATABASE_URL: db.url, ...failpoints }), stdio: ['pipe', 'ignore', 'pipe'] },
  )
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const ended = new Promise<number | null>((done) => child.on('close', done))
  if (kill.moment !== undefined) {
    await Promise.race([sleep(kill.moment), ended])
    child.kill('SIGKILL')
  }
  return { code: await ended, stderr, steps: readFileSync(log, 'utf8').trim().split('\n') }
}

/** What the log tells of, in order. */
const actions = async (db: TestDatabase): Promise<string[]> =>
  (await db.query('SELECT action, fields FROM integration_events ORDER BY seq')).map(
    ({ action, fields }) => `${action} ${fields}`,
  )
