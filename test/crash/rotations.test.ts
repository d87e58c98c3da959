import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { amount } from '../support/crash-amounts.ts'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { buildWithFailpoints } from '../support/failpoints.ts'
import { expectInvariants } from '../support/invariants.ts'
import { freshFolder, runProgram } from '../support/program.ts'

/** Where a rotation can be ended, in the order in which it gets there. */
const steps = [
  'head locked',
  'column written',
  'old value kept',
  'version raised',
  'event inserted',
  'head moved',
  'committed',
] as const

/** How many rotations are killed at each step, and how many at points spread over the measured run; on each database. */
const atEachStep = amount(1, 10)
const spread = amount(24, 430)

const racing = amount(20, 100)

let main = ''

beforeAll(async () => {
  main = await buildWithFailpoints()
})

/** How a rotation ended: acknowledged, or killed after the last step it reached. */
interface Ending {
  readonly acknowledged: boolean
  readonly last: string
}

const run = `require(process.argv[1]).main(process).then((code) => { process.exitCode = code })`

describe.each(kinds)('rotations on %s', (kind) => {
  test('killed at every step and at points between, leave every secret in its place and every acknowledged one in the log', async () => {
    const db = await freshDatabase(kind)
    const names = await addIntegrations(db, 4)
    let n = 0

    async function rotate(failpoint: string, killAfter?: number): Promise<Ending> {
      const log = join(freshFolder(), 'steps')
      const name = names[n % names.length] ?? ''
      const child = spawn(
        process.execPath,
        ['-e', run, main, 'rotate', name, '--webhook-secret-stdin', '--grace', '1h', '--end-previous', '--wait', '2m'],
        {
          env: {
            PATH: process.env.PATH ?? '',
            HOME: freshFolder(),
            XDG_CACHE_HOME: process.env.INTEGRATIONS_TEST_CACHE ?? '',
            INTEGRATIONS_KEYS_FILE: process.env.INTEGRATIONS_TEST_KEYS ?? '',
            DATABASE_URL: db.url,
            FAILPOINT: failpoint,
            FAILPOINT_LOG: log,
          },
          stdio: ['pipe', 'ignore', 'ignore'],
        },
      )
      child.stdin.on('error', () => {})
      child.stdin.end(`rotated-value-${++n}-of-a-test`)
      const ended = new Promise<number | null>((done) => child.on('close', done))
      if (killAfter !== undefined) {
        await Promise.race([sleep(killAfter), ended])
        child.kill('SIGKILL')
      }
      const code = await ended
      if (code !== null) expect(code).toBe(0)
      return { acknowledged: code === 0, last: lastStep(log) }
    }

    const started = performance.now()
    const first = await rotate('none')
    const whole = performance.now() - started
    expect(first).toEqual({ acknowledged: true, last: 'committed' })

    const endings: Ending[] = [first]
    for (const step of steps)
      for (let i = 0; i < atEachStep; i++) {
        const ending = await rotate(step)
        expect(ending).toEqual({ acknowledged: false, last: step })
        endings.push(ending)
      }
    // Two at once: one is killed while it waits for the other, too.
    const queue = Array.from({ length: spread }, (_, i) => (whole * 1.1 * i) / spread)
    await Promise.all(
      [0, 1].map(async () => {
        for (let wait = queue.pop(); wait !== undefined; wait = queue.pop()) endings.push(await rotate('none', wait))
      }),
    )

    const counts = Object.fromEntries(
      ['', ...steps].map((step) => [
        step,
        endings.filter(({ acknowledged, last }) => !acknowledged && last === step).length,
      ]),
    )
    console.info(
      `${kind}: killed after`,
      counts,
      'acknowledged',
      endings.filter(({ acknowledged }) => acknowledged).length,
    )
    // A step at which nothing was killed would show nothing.
    for (const step of ['', ...steps]) expect([step, counts[step]]).toEqual([step, expect.any(Number)])
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(0)

    const rotations = await expectInvariants(db)
    const committed = endings.filter(({ last }) => last === 'committed').length
    // Who was killed before it could say so may have committed too.
    const between = endings.filter(({ acknowledged, last }) => !acknowledged && last === 'head moved').length
    expect(rotations).toBeGreaterThanOrEqual(committed)
    expect(rotations).toBeLessThanOrEqual(committed + between)
  })

  test(`of one integration by ${racing} processes at once: the acknowledged ones are in the log, in order`, async () => {
    const db = await freshDatabase(kind)
    const [name = ''] = await addIntegrations(db, 1)
    const outcomes = await Promise.all(
      Array.from({ length: racing }, (_, i) =>
        runProgram(
          [
            'rotate',
            name,
            '--webhook-secret-stdin',
            '--grace',
            '0',
            '--wait',
            '5m',
            '-o',
            'json',
            '--fields',
            'version,webhookSecret',
          ],
          { env: { DATABASE_URL: db.url }, input: `raced-value-${i}-of-a-test` },
        ),
      ),
    )
    expect(outcomes.filter(({ code }) => code !== 0)).toEqual([])
    const answers = outcomes
      .map(({ stdout }) => JSON.parse(stdout) as { version: number; webhookSecret: { fingerprint: string } })
      .sort((a, b) => a.version - b.version)
    expect(await expectInvariants(db)).toBe(racing)
    const events = await db.query(
      "SELECT version_after, fingerprints FROM integration_events WHERE action = 'secret.rotate' ORDER BY seq",
    )
    expect(events.map((event) => [event.version_after, String(event.fingerprints).split('>')[1]])).toEqual(
      answers.map(({ version, webhookSecret }) => [version, webhookSecret.fingerprint]),
    )
  })

  test('of 16 integrations by a process each, break no link of the log', async () => {
    const db = await freshDatabase(kind)
    const names = await addIntegrations(db, 16)
    const rounds = amount(1, 10)
    await Promise.all(
      names.map(async (name, i) => {
        for (let round = 0; round < rounds; round++)
          expect(
            await runProgram(['rotate', name, '--webhook-secret-stdin', '--grace', '0', '--wait', '5m'], {
              env: { DATABASE_URL: db.url },
              input: `value-${i}-${round}-of-a-test`,
            }),
          ).toMatchObject({ code: 0 })
      }),
    )
    expect(await expectInvariants(db)).toBe(16 * rounds)
  })
})

async function addIntegrations(db: TestDatabase, count: number): Promise<string[]> {
  const env = { DATABASE_URL: db.url }
  expect(await runProgram(['workspaces', 'add', 'Acme'], { env })).toMatchObject({ code: 0 })
  const names = Array.from({ length: count }, (_, i) => `desk-${i}`)
  for (const name of names)
    expect(
      await runProgram(
        ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', name, '--webhook-secret-stdin'],
        {
          env,
          input: `first-value-of-${name}`,
        },
      ),
    ).toMatchObject({ code: 0 })
  return names
}

function lastStep(log: string): string {
  try {
    return readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? ''
  } catch {
    return ''
  }
}
